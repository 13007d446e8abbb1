"""What admins do with the accounts of others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from include.database import Connection, accounts, audit, logins, registration
from services.api.access import Admin, Space
from services.api.fields import Id
from services.api.paging import Cursor, Limit, Page, before_of, decode, page_of
from services.api.problems import Problem, responses
from services.api.routes.accounts import (
    Email,
    NewName,
    NewPassword,
    TokenItem,
    told_problems,
)

router = APIRouter(prefix="/v1", tags=["users"])

Role = Literal["viewer", "analyst", "admin"]
Name = Annotated[str, Path(max_length=64)]


class UserItem(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "ada",
                    "email": "ada@example.com",
                    "role": "analyst",
                    "is_active": True,
                    "is_locked": False,
                    "oidc_subject": None,
                    "created_at": "2026-03-01T09:00:00Z",
                }
            ]
        }
    )

    name: str
    email: str | None
    role: Role
    is_active: bool = Field(description="whether they may log in")
    is_locked: bool = Field(
        description="whether their password counts as wrong for a while, after too many wrong ones"
    )
    oidc_subject: str | None = Field(
        description="issuer and subject of whom an identity provider signs in; null for others"
    )
    created_at: datetime


class NewUser(BaseModel):
    name: NewName
    password: NewPassword
    role: Role
    email: Email | None = None


class UserChange(BaseModel):
    role: Role | None = None
    is_active: bool | None = Field(
        default=None, description="false also ends their logins and tokens for good"
    )
    unlock: bool = Field(default=False, description="let a locked password be right again")


class PasswordReset(BaseModel):
    new: NewPassword


@router.get("/users")
def users(_: Admin, space: Space, cursor: Cursor = None, limit: Limit = 50) -> Page[UserItem]:
    """Who may log in, by name."""
    place = decode(cursor, tuple[NewName])
    with space.engine.connect() as conn:
        rows = accounts.users(conn, place and place[0], limit + 1)
    return Page[UserItem](**page_of(rows, limit, "name"))


@router.post("/users", status_code=201, responses=responses(409))
def create_user(given: NewUser, caller: Admin, space: Space) -> UserItem:
    """Make an account for somebody."""
    with told_problems(), space.engine.begin() as conn:
        accounts.create_user(conn, given.name, given.password, given.role, given.email)
        made = _user(conn, given.name)
        audit.record(conn, caller.actor, "user.create", made["name"], after=_kept(made))
    return UserItem(**made)


@router.patch("/users/{name}", responses=responses(404, 409))
def change_user(name: Name, given: UserChange, caller: Admin, space: Space) -> UserItem:
    """Give somebody another role, stop or let them log in, or unlock them. The last active admin
    stays one."""
    with told_problems(), space.engine.begin() as conn:
        before = _user(conn, name)
        accounts.change_user(conn, before["name"], given.role, given.is_active, given.unlock)
        after = _user(conn, name)
        if before != after:
            subject = before["name"]
            audit.record(conn, caller.actor, "user.update", subject, _kept(before), _kept(after))
    return UserItem(**after)


@router.post("/users/{name}/password", status_code=204, responses=responses(404))
def reset_password(name: Name, given: PasswordReset, caller: Admin, space: Space) -> None:
    """Give somebody another password, which also unlocks them and ends their logins."""
    with told_problems(), space.engine.begin() as conn:
        subject = _user(conn, name)["name"]
        accounts.set_password(conn, subject, given.new)
        after = {"password": "changed"}
        audit.record(conn, caller.actor, "user.update", subject, after=after)


@router.delete("/users/{name}/sessions", status_code=204, responses=responses(404))
def end_sessions(name: Name, caller: Admin, space: Space) -> None:
    """End all logins of somebody; their tokens stay good."""
    with space.engine.begin() as conn:
        subject = _user(conn, name)["name"]
        ended = logins.end_sessions(conn, subject)
        audit.record(conn, caller.actor, "session.logout", subject, after={"ended": ended})


def _user(conn: Connection, name: str) -> dict:
    """A user. Raises Problem 404."""
    user = accounts.user_named(conn, name.lower())
    if user is None:
        raise Problem(404, f"no user {name!r}: `GET /v1/users` lists them")
    return user


def _kept(user: dict) -> dict:
    """What the record of actions keeps of a user."""
    return {key: user[key] for key in ("role", "is_active", "is_locked", "email")}


class InvitationRequest(BaseModel):
    role: Role = Field(description="what the invited one becomes")
    expires_in_days: int = Field(default=7, ge=1, le=90)


class InvitationItem(BaseModel):
    invitation_id: int
    role: Role
    invited_by: str
    created_at: datetime
    expires_at: datetime


class NewInvitation(BaseModel):
    invitation_id: int
    link: str = Field(description="to send to one person; it is told only here")
    role: Role
    expires_at: datetime


@router.get("/invitations")
def invitations(
    _: Admin, space: Space, cursor: Cursor = None, limit: Limit = 50
) -> Page[InvitationItem]:
    """The invitations that nobody has come by yet, the newest first."""
    with space.engine.connect() as conn:
        rows = registration.invitations(conn, before_of(cursor), limit + 1)
    return Page[InvitationItem](**page_of(rows, limit, "invitation_id"))


@router.post("/invitations", status_code=201, responses=responses(409))
def invite(given: InvitationRequest, caller: Admin, space: Space) -> NewInvitation:
    """Invite somebody to register, once, with a link."""
    if space.settings.registration == "off":
        raise Problem(409, "registration is off: nobody could come by an invitation")
    lasts = timedelta(days=given.expires_in_days)
    with space.engine.begin() as conn:
        made = registration.invite(conn, caller.identity.user_id, given.role, lasts, caller.actor)
    asked = urlencode({"invitation": made.secret})
    return NewInvitation(
        invitation_id=made.id,
        link=f"{space.settings.api_url.rstrip('/')}/register?{asked}",
        role=given.role,
        expires_at=made.expires_at,
    )


@router.delete("/invitations/{invitation_id}", status_code=204, responses=responses(404))
def revoke_invitation(invitation_id: Id, caller: Admin, space: Space) -> None:
    """Take back an invitation."""
    with space.engine.begin() as conn:
        if not registration.revoke_invitation(conn, invitation_id, caller.actor):
            raise Problem(404, f"no open invitation {invitation_id}: `GET /v1/invitations`")


class TokenOfUser(TokenItem):
    user: str = Field(description="whose rights it has some of")


@router.get("/tokens")
def tokens(_: Admin, space: Space, cursor: Cursor = None, limit: Limit = 50) -> Page[TokenOfUser]:
    """The tokens of everybody that are good, the newest first."""
    with space.engine.connect() as conn:
        rows = logins.all_tokens(conn, before_of(cursor), limit + 1)
    return Page[TokenOfUser](**page_of(rows, limit, "token_id"))


@router.delete("/tokens/{token_id}", status_code=204, responses=responses(404))
def revoke_token(token_id: Id, caller: Admin, space: Space) -> None:
    """Revoke the token of anybody."""
    with space.engine.begin() as conn:
        if not logins.revoke_token(conn, None, token_id, caller.actor):
            raise Problem(404, f"no token {token_id} that is good: `GET /v1/tokens` lists them")
