"""The accounts of people: names, roles, and the passwords that they log in with."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert

from include import passwords
from include.database import audit
from include.database.account_tables import Invitation, User
from include.database.audit import NOBODY, Actor
from include.database.logins import Identity, NewSecret, end_sessions, end_tokens, start_session

ROLES = ("viewer", "analyst", "admin")
LOCKED_AFTER, LOCKED_FOR = 10, timedelta(minutes=15)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
NAME_RULE = (
    "a name has 2 to 64 of the letters a to z, digits, dots, hyphens and underscores, and begins "
    "with a letter or digit"
)
EMAIL = re.compile(r"[^@\s\0]{1,64}@[^@\s\0]{1,255}")

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


class InvalidAccount(ValueError):
    """What cannot be done with an account; the message says why."""


class AccountConflict(InvalidAccount):
    """What could be done, were it not for what is there already."""


class Refused(InvalidAccount):
    """What somebody may not do."""


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
        end_tokens(conn, name)


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
