"""How people come by an account of their own: by invitation, freely, or signed in by an identity
provider."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database import audit
from include.database.account_tables import Invitation, User
from include.database.accounts import EMAIL, ROLES, Refused, create_user
from include.database.audit import NOBODY, Actor
from include.database.logins import NewSecret, digest, insert_secret, newest, start_session

INVITATION_PREFIX = "lai_"
INVITATION = (
    Invitation.invitation_id, Invitation.role, User.name.label("invited_by"),
    Invitation.created_at, Invitation.expires_at,
)  # fmt: skip
IS_INVITING = sa.and_(Invitation.used_at.is_(None), Invitation.expires_at > sa.func.now())


def invite(conn: Connection, user_id: int, role: str, lasts: timedelta, who: Actor) -> NewSecret:
    """An invitation, by a user, to register and become what `role` says."""
    values = {"role": role, "invited_by": user_id}
    invitation = insert_secret(conn, Invitation, INVITATION_PREFIX, lasts, values)
    after = {"role": role, "expires_at": invitation.expires_at.isoformat()}
    audit.record(conn, who, "invitation.create", str(invitation.id), after=after)
    return invitation


def invitations(conn: Connection, before: int | None, limit: int) -> list[dict[str, Any]]:
    """The invitations that somebody can still come by, the newest first."""
    query = sa.select(*INVITATION).join(User, User.user_id == Invitation.invited_by)
    return newest(conn, query.where(IS_INVITING), Invitation.invitation_id, before, limit)


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
