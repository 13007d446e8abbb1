"""Sessions and tokens: the secrets of browsers and programs, and whom they belong to.

Only their SHA-256 hashes are stored: they are random, and nobody can guess through.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database import audit
from include.database.account_tables import ApiToken, Session, User
from include.database.audit import Actor

# Whoever finds one knows what it is, and so do programs that look for lost secrets.
SESSION_PREFIX, TOKEN_PREFIX = "las_", "lat_"
SESSION_LASTS = timedelta(hours=12)

IDENTIFY_SESSION = sa.text(
    "SELECT u.user_id, u.name, u.role, s.session_id, "
    "NULL AS token_id, NULL AS token_name, NULL AS scopes "
    "FROM loganalyzer.sessions AS s JOIN loganalyzer.users AS u USING (user_id) "
    "WHERE s.secret_hash = :hash AND u.is_active AND s.revoked_at IS NULL AND s.expires_at > now()"
)
IDENTIFY_TOKEN = sa.text(
    "SELECT u.user_id, u.name, u.role, NULL AS session_id, "
    "t.token_id, t.name AS token_name, t.scopes "
    "FROM loganalyzer.api_tokens AS t JOIN loganalyzer.users AS u USING (user_id) "
    "WHERE t.secret_hash = :hash AND u.is_active AND t.revoked_at IS NULL AND t.expires_at > now()"
)
SESSION = (
    Session.session_id, Session.created_at, Session.expires_at, Session.address,
    Session.user_agent,
)  # fmt: skip
TOKEN = (
    ApiToken.token_id, ApiToken.name, ApiToken.scopes, ApiToken.created_at, ApiToken.expires_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a secret belongs to. token_name, scopes: of a token, None for a session."""

    user_id: int
    name: str
    role: str
    session_id: int | None
    token_id: int | None
    token_name: str | None
    scopes: list[str] | None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret, which is told once, and the row that knows its hash."""

    secret: str
    id: int
    expires_at: datetime


def identify(conn: Connection, secret: str) -> Identity | None:
    """Whom the secret of a session or token belongs to; None where it is none, has expired or was
    revoked, or its user may not log in."""
    query = IDENTIFY_TOKEN if secret.startswith(TOKEN_PREFIX) else IDENTIFY_SESSION
    row = conn.execute(query, {"hash": digest(secret)}).mappings().one_or_none()
    return None if row is None else Identity(**row)


def start_session(
    conn: Connection, user_id: int, who: Actor, user_agent: str | None = None
) -> NewSecret:
    """A new session, written down as a login."""
    session = open_session(conn, user_id, who.address, user_agent)
    audit.record(conn, who, "session.login", str(session.id))
    return session


def open_session(
    conn: Connection, user_id: int, address: str | None = None, user_agent: str | None = None
) -> NewSecret:
    """A new session of a user."""
    values = {"user_id": user_id, "address": address, "user_agent": user_agent and user_agent[:200]}
    return insert_secret(conn, Session, SESSION_PREFIX, SESSION_LASTS, values)


def sessions_of(
    conn: Connection, user_id: int, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The open sessions of a user, the newest first."""
    query = sa.select(*SESSION).where(_is_open(Session), Session.user_id == user_id)
    return newest(conn, query, Session.session_id, before, limit)


def end_session(conn: Connection, user_id: int, session_id: int, who: Actor) -> bool:
    """End a session of a user; False where they have no such open one."""
    is_it = sa.and_(Session.session_id == session_id, Session.user_id == user_id)
    ended = sa.update(Session).where(_is_open(Session), is_it).values(revoked_at=sa.func.now())
    if conn.execute(ended).rowcount == 0:
        return False
    audit.record(conn, who, "session.logout", str(session_id))
    return True


def end_sessions(conn: Connection, name: str, but: int | None = None) -> int:
    """End the sessions of a user, all or all but one; how many there were."""
    return _end(conn, Session, name, Session.session_id.is_distinct_from(but))


def end_tokens(conn: Connection, name: str) -> int:
    """End all tokens of a user; how many there were."""
    return _end(conn, ApiToken, name)


def _end(conn: Connection, table: Any, name: str, *which: sa.ColumnElement[bool]) -> int:
    user_id = sa.select(User.user_id).where(User.name == name).scalar_subquery()
    ended = sa.update(table).where(_is_open(table), table.user_id == user_id, *which)
    return conn.execute(ended.values(revoked_at=sa.func.now())).rowcount


def _is_open(table: Any) -> sa.ColumnElement[bool]:
    return sa.and_(table.revoked_at.is_(None), table.expires_at > sa.func.now())


def create_token(
    conn: Connection, user_id: int, name: str, scopes: list[str], lasts: timedelta, who: Actor
) -> NewSecret:
    """A new token of a user, with some of their rights."""
    values = {"user_id": user_id, "name": name, "scopes": scopes}
    token = insert_secret(conn, ApiToken, TOKEN_PREFIX, lasts, values)
    after = {"name": name, "scopes": scopes, "expires_at": token.expires_at.isoformat()}
    audit.record(conn, who, "token.create", str(token.id), after=after)
    return token


def tokens_of(
    conn: Connection, user_id: int, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The tokens of a user that are good, the newest first."""
    query = sa.select(*TOKEN).where(_is_open(ApiToken), ApiToken.user_id == user_id)
    return newest(conn, query, ApiToken.token_id, before, limit)


def all_tokens(conn: Connection, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Those of everybody, each with its `user`."""
    query = sa.select(*TOKEN, User.name.label("user")).join(User).where(_is_open(ApiToken))
    return newest(conn, query, ApiToken.token_id, before, limit)


def revoke_token(conn: Connection, user_id: int | None, token_id: int, who: Actor) -> bool:
    """Revoke a token of a user, or of anybody where that is None; False where there is no such good
    one."""
    is_it = ApiToken.token_id == token_id
    if user_id is not None:
        is_it = sa.and_(is_it, ApiToken.user_id == user_id)
    ended = sa.update(ApiToken).where(_is_open(ApiToken), is_it).values(revoked_at=sa.func.now())
    if conn.execute(ended).rowcount == 0:
        return False
    audit.record(conn, who, "token.revoke", str(token_id))
    return True


def forget_logins(conn: Connection, before: datetime) -> int:
    """Forget sessions, tokens and invitations that ended before a moment; how many."""
    forgotten = sa.select(sa.func.loganalyzer.forget_logins(before))
    return conn.scalar(forgotten) or 0


def newest(
    conn: Connection, query: sa.Select[*tuple[Any, ...]], key: Any, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """So many rows of a query, of lesser keys than `before`, the greatest first."""
    if before is not None:
        query = query.where(key < before)
    return [dict(row) for row in conn.execute(query.order_by(key.desc()).limit(limit)).mappings()]


def insert_secret(
    conn: Connection, table: Any, prefix: str, lasts: timedelta, values: Mapping[str, Any]
) -> NewSecret:
    """A new row that knows the hash of a new secret, which is good for so long."""
    secret = prefix + secrets.token_urlsafe(32)
    row = sa.insert(table).values(
        **values, secret_hash=digest(secret), expires_at=sa.func.now() + lasts
    )
    made = row.returning(*table.__table__.primary_key, table.expires_at)
    return NewSecret(secret, *conn.execute(made).tuples().one())


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
