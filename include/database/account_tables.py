"""The tables of people who log in, and of what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from include.database.models import Table, column

ROLE_CHECK = "role IN ('viewer', 'analyst', 'admin')"


class User(Table):
    __tablename__ = "users"
    __table_args__ = (
        sa.CheckConstraint(ROLE_CHECK, name="role"),
        sa.CheckConstraint("name = lower(name)", name="name"),
        {"comment": "Who may log in; nobody is deleted, since what they did names them"},
    )
    user_id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True, comment="Row number")
    name: Mapped[str] = column("What they log in with, in small letters", unique=True)
    email: Mapped[str | None] = column("Where to write to them")
    password_hash: Mapped[str | None] = column(
        "Argon2id; null for those whom an identity provider signs in"
    )
    oidc_subject: Mapped[str | None] = column("Issuer and subject there", unique=True)
    role: Mapped[str] = column(
        "viewer: reads; analyst: also judges and starts runs; admin: also manages users"
    )
    is_active: Mapped[bool] = column("Whether they may log in", server_default=sa.true())
    failed_logins: Mapped[int] = column(
        "Wrong passwords since the last right one", server_default=sa.text("0")
    )
    locked_until: Mapped[datetime | None] = column("No password is right before this")
    created_at: Mapped[datetime] = column("When", server_default=sa.func.now())


class Session(Table):
    __tablename__ = "sessions"
    __table_args__ = (
        sa.Index(None, "user_id"),
        {"comment": "Logins; the secret itself is only in the cookie"},
    )
    session_id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True, comment="Row number")
    secret_hash: Mapped[bytes] = column("SHA-256 of the secret", unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.user_id), comment="Whose")
    address: Mapped[str | None] = column("The address that it was made from")
    user_agent: Mapped[str | None] = column("The program that it was made with")
    created_at: Mapped[datetime] = column("When", server_default=sa.func.now())
    expires_at: Mapped[datetime] = column("It ends then")
    revoked_at: Mapped[datetime | None] = column("or when it was ended before")


class ApiToken(Table):
    __tablename__ = "api_tokens"
    __table_args__ = (
        sa.Index(None, "user_id"),
        {"comment": "What programs identify themselves with, for a user and some of their rights"},
    )
    token_id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True, comment="Row number")
    secret_hash: Mapped[bytes] = column("SHA-256 of the secret", unique=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.user_id), comment="Whose")
    name: Mapped[str] = column("What it is for")
    scopes: Mapped[list[str]] = mapped_column(
        ARRAY(sa.Text()), comment="Of the rights of its user, the ones it has"
    )
    created_at: Mapped[datetime] = column("When", server_default=sa.func.now())
    expires_at: Mapped[datetime] = column("It ends then")
    revoked_at: Mapped[datetime | None] = column("or when it was ended before")


class Invitation(Table):
    __tablename__ = "invitations"
    __table_args__ = (
        sa.CheckConstraint(ROLE_CHECK, name="role"),
        sa.CheckConstraint("(used_by IS NULL) = (used_at IS NULL)", name="used"),
        {"comment": "Who may register where registration is by invitation"},
    )
    invitation_id: Mapped[int] = mapped_column(
        sa.Identity(), primary_key=True, comment="Row number"
    )
    secret_hash: Mapped[bytes] = column("SHA-256 of the secret in the link", unique=True)
    role: Mapped[str] = column("What the invited one becomes")
    invited_by: Mapped[int] = mapped_column(sa.ForeignKey(User.user_id), comment="By whom")
    created_at: Mapped[datetime] = column("When", server_default=sa.func.now())
    expires_at: Mapped[datetime] = column("It ends then")
    used_by: Mapped[int | None] = mapped_column(sa.ForeignKey(User.user_id), comment="Who came")
    used_at: Mapped[datetime | None] = column("and when")


class AuditEntry(Table):
    __tablename__ = "audit_log"
    __table_args__ = (
        sa.CheckConstraint("origin IN ('api', 'dashboard', 'airflow', 'cli')", name="origin"),
        sa.Index(None, "actor"),
        sa.Index(None, "action"),
        {"comment": "Who did what; rows are only ever added, the database sees to that"},
    )
    audit_id: Mapped[int] = mapped_column(
        sa.Identity(), primary_key=True, comment="Row number, in order of time"
    )
    at: Mapped[datetime] = column("When", server_default=sa.func.now())
    actor: Mapped[str] = column("Who: the name of a user, or nobody where no login was made")
    token_id: Mapped[int | None] = column("With which of their tokens; null for none")
    action: Mapped[str] = column("What, as subject.verb: session.login, feedback.give")
    subject: Mapped[str | None] = column("Of what, by its id")
    origin: Mapped[str] = column("Through what: api, dashboard, airflow or cli")
    address: Mapped[str | None] = column("The network address that it came from")
    request_id: Mapped[str | None] = column("The request, as the log of the API names it")
    before: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="What was so before; null where nothing was"
    )
    after: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="and afterwards"
    )
