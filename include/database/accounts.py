"""People and programs that log in, and the secrets that they do it with.

Only hashes are stored: of passwords with Argon2id, which is slow on purpose; of the random secrets
of sessions, tokens and invitations with SHA-256, which nobody can guess through.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from include import passwords
from include.database import audit
from include.database.account_tables import ApiToken, Invitation, Session, User
from include.database.audit import NOBODY, Actor

ROLES = ("viewer", "analyst", "admin")
# Whoever finds one knows what it is, and so do programs that look for lost secrets.
SESSION_PREFIX, TOKEN_PREFIX, INVITATION_PREFIX = "las_", "lat_", "lai_"
SESSION_LASTS = timedelta(hours=12)
LOCKED_AFTER, LOCKED_FOR = 10, timedelta(minutes=15)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
NAME_RULE = (
    "a name has 2 to 64 of the letters a to z, digits, dots, hyphens and underscores, and begins "
    "with a letter or digit"
)

EMAIL = re.compile(r"[^@\s\0]{1,64}@[^@\s\0]{1,255}")

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
IS_LOCKED = sa.func.coalesce(User.locked_until > sa.func.now(), sa.false())
# Every so many wrong ones in a row, so that who tries on after a lock is locked again.
COUNT_WRONG = {
    "failed_logins": User.failed_logins + 1,
    "locked_until": sa.case(
        ((User.failed_logins + 1) % LOCKED_AFTER == 0, sa.func.now() + LOCKED_FOR),
        else_=User.locked_until,
    ),
}
USER = (
    User.name, User.email, User.role, User.is_active, IS_LOCKED.label("is_locked"),
    User.oidc_subject, User.created_at,
)  # fmt: skip
SESSION = (
    Session.session_id, Session.created_at, Session.expires_at, Session.address,
    Session.user_agent,
)  # fmt: skip
TOKEN = (
    ApiToken.token_id, ApiToken.name, ApiToken.scopes, ApiToken.created_at, ApiToken.expires_at,
)  # fmt: skip

INVITATION = (
    Invitation.invitation_id, Invitation.role, User.name.label("invited_by"),
    Invitation.created_at, Invitation.expires_at,
)  # fmt: skip
IS_INVITING = sa.and_(Invitation.used_at.is_(None), Invitation.expires_at > sa.func.now())


class InvalidAccount(ValueError):
    """What cannot be done with an account; the message says why."""


class AccountConflict(InvalidAccount):
    """What could be done, were it not for what is there already."""


class Refused(InvalidAccount):
    """What somebody may not do."""


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


# Users


def create_user(
    conn: Connection,
    name: str,
    password: str | None,
    role: str,
    email: str | None = None,
    oidc_subject: str | None = None,
) -> int:
    """The id of a new user. Raises InvalidAccount for a name or password against the rules, and
    AccountConflict where the name is taken."""
    name = _checked_name(name)
    if email is not None and EMAIL.fullmatch(email) is None:
        raise InvalidAccount("the e-mail address is none")
    is_new = insert(User).values(
        name=name,
        email=email,
        role=role,
        oidc_subject=oidc_subject,
        password_hash=None if password is None else _checked_hash(password, name),
    )
    user_id = conn.scalar(
        is_new.on_conflict_do_nothing(index_elements=["name"]).returning(User.user_id)
    )
    if user_id is None:
        raise AccountConflict(f"there is a user {name!r} already: choose another name")
    return int(user_id)


def ensure_first_user(conn: Connection, name: str, password: str) -> None:
    """Give a system that nobody can log into its first user, an admin."""
    if conn.scalar(sa.select(sa.func.count()).select_from(User)) == 0:
        create_user(conn, name, password, "admin")


def users(
    conn: Connection, after: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Users by name."""
    query = sa.select(*USER).order_by(User.name).limit(limit)
    if after is not None:
        query = query.where(User.name > after)
    return [dict(row) for row in conn.execute(query).mappings()]


def user_named(conn: Connection, name: str) -> dict[str, Any] | None:
    row = conn.execute(sa.select(*USER).where(User.name == name)).mappings().one_or_none()
    return None if row is None else dict(row)


def change_user(
    conn: Connection,
    name: str,
    role: str | None = None,
    is_active: bool | None = None,
    unlock: bool = False,
) -> None:
    """Change what is given. Who is no longer active loses their sessions and tokens for good, and
    who is no longer an active admin their open invitations: they would come back by one.

    Raises AccountConflict where no active admin would be left.
    """
    # Two that are demoted at the same moment wait for each other here.
    is_acting = sa.and_(User.role == "admin", User.is_active)
    query = sa.select(User.name).where(is_acting).order_by(User.user_id).with_for_update()
    admins = set(conn.scalars(query))
    values: dict[str, Any] = {}
    if role is not None:
        values["role"] = role
    if is_active is not None:
        values["is_active"] = is_active
    if unlock:
        values |= {"failed_logins": 0, "locked_until": None}
    loses = is_active is False or role not in (None, "admin")
    if loses and admins == {name}:
        raise AccountConflict(f"{name!r} is the last active admin: make another one first")
    if values:
        conn.execute(sa.update(User).where(User.name == name).values(values))
    if loses:
        is_theirs = sa.and_(User.user_id == Invitation.invited_by, User.name == name)
        conn.execute(sa.delete(Invitation).where(is_theirs, Invitation.used_at.is_(None)))
    if is_active is False:
        end_sessions(conn, name)
        _end(conn, ApiToken, name)


def set_password(conn: Connection, name: str, password: str) -> None:
    """Give a user another password, unlock them, and end their sessions. Raises InvalidAccount for
    a password against the rules."""
    changed = _checked_hash(password, name)
    values = {"password_hash": changed, "failed_logins": 0, "locked_until": None}
    conn.execute(sa.update(User).where(User.name == name).values(values))
    end_sessions(conn, name)


def _checked_name(name: str) -> str:
    name = name.lower()
    if NAME.fullmatch(name) is None or name == NOBODY:
        raise InvalidAccount(f"{name[:64]!r} cannot be a name: {NAME_RULE}")
    return name


def _checked_hash(password: str, name: str) -> str:
    fault = passwords.fault_of(password, name)
    if fault is not None:
        raise InvalidAccount(fault)
    return passwords.hashed(password)


# Logins and sessions


def log_in(
    pool: Engine, name: str, password: str, who: Actor, user_agent: str | None = None
) -> NewSecret | None:
    """A new session of the user whose name and password these are; None where there is no such user
    or password, or it is locked.

    It commits by itself: a wrong password is counted and written down, whatever becomes of the
    request. No connection is held while the hash is computed.
    """
    found = _compare(pool, name, password)
    with pool.begin() as conn:
        user_id = _counted(conn, *found)
        if user_id is None:
            audit.record(conn, who, "session.failed_login", _shown(name))
            return None
        return start_session(conn, user_id, replace(who, actor=name.lower()), user_agent)


def change_password(pool: Engine, identity: Identity, current: str, new: str, who: Actor) -> bool:
    """Change the password of who knows the present one, and end their other sessions; False where
    it is another one. It commits by itself, as `log_in` does.

    Raises InvalidAccount for a password against the rules.
    """
    found = _compare(pool, identity.name, current)
    changed = _checked_hash(new, identity.name)
    with pool.begin() as conn:
        if _counted(conn, *found) is None:
            audit.record(conn, who, "session.failed_login", identity.name)
            return False
        of_them = User.user_id == identity.user_id
        conn.execute(sa.update(User).where(of_them).values(password_hash=changed))
        end_sessions(conn, identity.name, but=identity.session_id)
        audit.record(conn, who, "user.update", identity.name, after={"password": "changed"})
        return True


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
    secret = new_secret(SESSION_PREFIX)
    values = {
        "user_id": user_id,
        "secret_hash": digest(secret),
        "address": address,
        "user_agent": user_agent and user_agent[:200],
        "expires_at": sa.func.now() + SESSION_LASTS,
    }
    made = sa.insert(Session).values(values).returning(Session.session_id, Session.expires_at)
    return NewSecret(secret, *conn.execute(made).tuples().one())


def sessions_of(
    conn: Connection, user_id: int, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The open sessions of a user, the newest first."""
    query = sa.select(*SESSION).where(_is_open(Session), Session.user_id == user_id)
    return _newest(conn, query, Session.session_id, before, limit)


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


def _end(conn: Connection, table: Any, name: str, *which: sa.ColumnElement[bool]) -> int:
    user_id = sa.select(User.user_id).where(User.name == name).scalar_subquery()
    ended = sa.update(table).where(_is_open(table), table.user_id == user_id, *which)
    return conn.execute(ended.values(revoked_at=sa.func.now())).rowcount


def _is_open(table: Any) -> sa.ColumnElement[bool]:
    return sa.and_(table.revoked_at.is_(None), table.expires_at > sa.func.now())


def _compare(pool: Engine, name: str, password: str) -> tuple[str, str | None, str | None]:
    """A name, the hash kept of its password where that is the right one, and a newer one of it
    where that is due."""
    name = name.lower()
    kept = None
    if NAME.fullmatch(name):
        with pool.connect() as conn:
            kept = conn.scalar(sa.select(User.password_hash).where(User.name == name))
    is_right = passwords.matches(password, kept)
    if not is_right or kept is None:
        return name, None, None
    return name, kept, passwords.hashed(password) if passwords.is_outdated(kept) else None


def _counted(conn: Connection, name: str, right: str | None, newer: str | None) -> int | None:
    """The user whose password was right, and who may log in; counts it where it was wrong."""
    named = sa.and_(User.name == name, User.is_active, ~IS_LOCKED)
    if right is None:
        if NAME.fullmatch(name):
            conn.execute(sa.update(User).where(named).values(COUNT_WRONG))
        return None
    # It may have been locked or changed while it was compared.
    values = {"failed_logins": 0, "locked_until": None, "password_hash": newer or right}
    is_so = sa.and_(named, User.password_hash == right)
    return conn.scalar(sa.update(User).where(is_so).values(values).returning(User.user_id))


def _shown(name: str) -> str:
    """What was given as a name, which may be anything, as the record of actions can keep it."""
    return "".join(char if char.isprintable() else "?" for char in name[:64])


# Tokens of programs


def create_token(
    conn: Connection, user_id: int, name: str, scopes: list[str], lasts: timedelta, who: Actor
) -> NewSecret:
    """A new token of a user, with some of their rights."""
    secret = new_secret(TOKEN_PREFIX)
    values = {
        "user_id": user_id,
        "secret_hash": digest(secret),
        "name": name,
        "scopes": scopes,
        "expires_at": sa.func.now() + lasts,
    }
    made = sa.insert(ApiToken).values(values).returning(ApiToken.token_id, ApiToken.expires_at)
    token = NewSecret(secret, *conn.execute(made).tuples().one())
    after = {"name": name, "scopes": scopes, "expires_at": token.expires_at.isoformat()}
    audit.record(conn, who, "token.create", str(token.id), after=after)
    return token


def tokens_of(
    conn: Connection, user_id: int, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The tokens of a user that are good, the newest first."""
    query = sa.select(*TOKEN).where(_is_open(ApiToken), ApiToken.user_id == user_id)
    return _newest(conn, query, ApiToken.token_id, before, limit)


def all_tokens(conn: Connection, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Those of everybody, each with its `user`."""
    query = sa.select(*TOKEN, User.name.label("user")).join(User).where(_is_open(ApiToken))
    return _newest(conn, query, ApiToken.token_id, before, limit)


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


# Registration


def invite(conn: Connection, user_id: int, role: str, lasts: timedelta, who: Actor) -> NewSecret:
    """An invitation, by a user, to register and become what `role` says."""
    secret = new_secret(INVITATION_PREFIX)
    values = {
        "secret_hash": digest(secret),
        "role": role,
        "invited_by": user_id,
        "expires_at": sa.func.now() + lasts,
    }
    made = sa.insert(Invitation).values(values)
    row = conn.execute(made.returning(Invitation.invitation_id, Invitation.expires_at))
    invitation = NewSecret(secret, *row.tuples().one())
    after = {"role": role, "expires_at": invitation.expires_at.isoformat()}
    audit.record(conn, who, "invitation.create", str(invitation.id), after=after)
    return invitation


def invitations(conn: Connection, before: int | None, limit: int) -> list[dict[str, Any]]:
    """The invitations that somebody can still come by, the newest first."""
    query = sa.select(*INVITATION).join(User, User.user_id == Invitation.invited_by)
    return _newest(conn, query.where(IS_INVITING), Invitation.invitation_id, before, limit)


def revoke_invitation(conn: Connection, invitation_id: int, who: Actor) -> bool:
    """Take back an invitation; False where nobody could come by it."""
    is_it = sa.and_(Invitation.invitation_id == invitation_id, IS_INVITING)
    if conn.execute(sa.delete(Invitation).where(is_it)).rowcount == 0:
        return False
    audit.record(conn, who, "invitation.revoke", str(invitation_id))
    return True


def may_register(
    conn: Connection, registration: str, invitation: str | None
) -> tuple[int | None, str]:
    """The invitation that somebody comes by, None without one, and the role that they get.

    registration: the setting. Raises Refused where they may not.
    """
    if registration == "off":
        raise Refused("nobody registers here: an admin makes accounts")
    if not invitation:
        if registration == "invite":
            raise Refused("one registers by invitation here: ask an admin for one")
        return None, ROLES[0]
    # Two that come by the same invitation wait for each other here.
    is_it = sa.and_(IS_INVITING, Invitation.secret_hash == digest(invitation))
    query = sa.select(Invitation.invitation_id, Invitation.role).where(is_it).with_for_update()
    row = conn.execute(query).tuples().one_or_none()
    if row is None:
        raise Refused("this invitation was used or has ended: ask for another one")
    return row


def register(
    conn: Connection,
    registration: str,
    name: str,
    password: str,
    email: str | None,
    invitation: str | None,
    who: Actor,
) -> tuple[int, str]:
    """The id of a user who has registered themselves, and their role.

    Raises InvalidAccount, of which Refused says that they may not.
    """
    invitation_id, role = may_register(conn, registration, invitation)
    user_id = create_user(conn, name, password, role, email)
    if invitation_id is not None:
        is_it = Invitation.invitation_id == invitation_id
        used = sa.update(Invitation).where(is_it)
        conn.execute(used.values(used_by=user_id, used_at=sa.func.now()))
    who = replace(who, actor=name.lower())
    after = {"role": role, "invitation": invitation_id}
    audit.record(conn, who, "user.register", name.lower(), after=after)
    return user_id, role


def sign_in(
    conn: Connection,
    oidc_subject: str,
    called: str,
    email: str | None,
    role: str,
    who: Actor,
    user_agent: str | None = None,
) -> NewSecret | None:
    """A new session of whom an identity provider has signed in, who gets an account the first time;
    None where they may not log in here.

    called: what they are called there. Who has that name here already is somebody else.
    """
    of_them = sa.select(User.user_id, User.name, User.is_active)
    of_them = of_them.where(User.oidc_subject == oidc_subject)
    if conn.execute(of_them).one_or_none() is None:
        name = _free_name(conn, called)
        good = email if email and EMAIL.fullmatch(email) else None
        create_user(conn, name, None, role, good, oidc_subject)
        after = {"role": role, "oidc_subject": oidc_subject}
        audit.record(conn, replace(who, actor=name), "user.register", name, after=after)
    user_id, name, is_active = conn.execute(of_them).tuples().one()
    if not is_active:
        audit.record(conn, who, "session.failed_login", name)
        return None
    return start_session(conn, user_id, replace(who, actor=name), user_agent)


def _free_name(conn: Connection, called: str) -> str:
    """A name by the rules that is like what somebody is called, and that nobody has."""
    like = re.sub(r"[^a-z0-9._-]+", "-", called.lower().partition("@")[0]).strip("._-")[:56]
    if len(like) < 2 or like == NOBODY:
        like = f"user-{like}".rstrip("-")
    has = sa.select(User.name).where(User.name.startswith(like, autoescape=True))
    taken = set(conn.scalars(has))
    numbered = (f"{like}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (like, *numbered) if name not in taken)


def forget_logins(conn: Connection, before: datetime) -> int:
    """Forget sessions, tokens and invitations that ended before a moment; how many."""
    forgotten = sa.select(sa.func.loganalyzer.forget_logins(before))
    return conn.scalar(forgotten) or 0


def _newest(
    conn: Connection, query: sa.Select[*tuple[Any, ...]], key: Any, before: int | None, limit: int
) -> list[dict[str, Any]]:
    if before is not None:
        query = query.where(key < before)
    return [dict(row) for row in conn.execute(query.order_by(key.desc()).limit(limit)).mappings()]


# Secrets


def new_secret(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
