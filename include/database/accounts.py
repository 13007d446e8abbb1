"""People and programs that log in, and the secrets that they do it with.

Only hashes are stored: of passwords with Argon2id, which is slow on purpose; of the random secrets
of sessions, tokens and invitations with SHA-256, which nobody can guess through.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy import Connection

from include.database.account_tables import Session, User

ROLES = ("viewer", "analyst", "admin")
# Whoever finds one knows what it is, and so do programs that look for lost secrets.
SESSION_PREFIX, TOKEN_PREFIX, INVITATION_PREFIX = "las_", "lat_", "lai_"
SESSION_LASTS = timedelta(hours=12)

_hasher = PasswordHasher()

IDENTIFY_SESSION = sa.text(
    "SELECT u.user_id, u.name, u.role, s.session_id, NULL AS token_id, NULL AS scopes "
    "FROM loganalyzer.sessions AS s JOIN loganalyzer.users AS u USING (user_id) "
    "WHERE s.secret_hash = :hash AND u.is_active AND s.revoked_at IS NULL AND s.expires_at > now()"
)
IDENTIFY_TOKEN = sa.text(
    "SELECT u.user_id, u.name, u.role, NULL AS session_id, t.token_id, t.scopes "
    "FROM loganalyzer.api_tokens AS t JOIN loganalyzer.users AS u USING (user_id) "
    "WHERE t.secret_hash = :hash AND u.is_active AND t.revoked_at IS NULL AND t.expires_at > now()"
)


class InvalidAccount(ValueError):
    """What cannot be done with an account; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a secret belongs to. scopes: of a token, None for a session."""

    user_id: int
    name: str
    role: str
    session_id: int | None
    token_id: int | None
    scopes: list[str] | None


def identify(conn: Connection, secret: str) -> Identity | None:
    """Whom the secret of a session or token belongs to; None where it is none, has expired or was
    revoked, or its user may not log in."""
    query = IDENTIFY_TOKEN if secret.startswith(TOKEN_PREFIX) else IDENTIFY_SESSION
    row = conn.execute(query, {"hash": digest(secret)}).mappings().one_or_none()
    return None if row is None else Identity(**row)


def create_user(
    conn: Connection, name: str, password: str | None, role: str, email: str | None = None
) -> int:
    """The id of a new user. Raises InvalidAccount where the name is taken."""
    is_new = sa.dialects.postgresql.insert(User).values(
        name=name.lower(),
        email=email,
        role=role,
        password_hash=None if password is None else hashed(password),
    )
    user_id = conn.scalar(
        is_new.on_conflict_do_nothing(index_elements=["name"]).returning(User.user_id)
    )
    if user_id is None:
        raise InvalidAccount(f"there is a user {name.lower()!r} already: choose another name")
    return int(user_id)


def ensure_first_user(conn: Connection, name: str, password: str) -> None:
    """An admin of this name, where there is nobody yet who could make users."""
    if conn.scalar(sa.select(sa.func.count()).select_from(User)) == 0:
        create_user(conn, name, password, "admin")


def open_session(
    conn: Connection, user_id: int, address: str | None = None, user_agent: str | None = None
) -> tuple[str, datetime]:
    """The secret of a new session of a user, and when it ends."""
    secret = new_secret(SESSION_PREFIX)
    values: dict[str, Any] = {
        "user_id": user_id,
        "secret_hash": digest(secret),
        "address": address,
        "user_agent": user_agent,
        "expires_at": sa.func.now() + SESSION_LASTS,
    }
    expires_at = conn.scalar(sa.insert(Session).values(values).returning(Session.expires_at))
    assert expires_at is not None  # noqa: S101  RETURNING gives a row for each row inserted
    return secret, expires_at


def new_secret(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def hashed(password: str) -> str:
    return _hasher.hash(password)
