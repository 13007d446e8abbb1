"""What people do with their own account: log in, see who they are, make tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, StringConstraints

from include import passwords
from include.database import accounts
from include.database.accounts import NewSecret
from include.workspace import Workspace
from services.api.access import (
    InSession,
    Permission,
    SignedIn,
    Space,
    actor_of,
    anybody,
)
from services.api.fields import Text
from services.api.limits import count_login
from services.api.problems import Problem, responses

router = APIRouter(prefix="/v1", tags=["accounts"])

WRONG = "the name or password is wrong, or locked for a while after too many wrong ones"


GivenName = Annotated[Text, StringConstraints(max_length=64)]
GivenPassword = Annotated[Text, StringConstraints(max_length=passwords.LONGEST)]


class Me(BaseModel):
    """Who calls."""

    name: str
    role: str
    permissions: list[Permission] = Field(description="what this login or token may do")
    token: str | None = Field(description="what the token is for; null for a login")


@router.get("/me")
def me(caller: SignedIn) -> Me:
    """Who calls, and what they may do."""
    who = caller.identity
    allowed = sorted(caller.permissions)
    return Me(name=who.name, role=who.role, permissions=allowed, token=who.token_name)


class Credentials(BaseModel):
    name: GivenName
    password: GivenPassword


class NewSession(BaseModel):
    secret: str = Field(description="goes into `Authorization: Bearer …`; it is told only here")
    expires_at: datetime


@router.post(
    "/session",
    status_code=201,
    dependencies=[Depends(anybody), Depends(count_login)],
    responses=responses(401, 429),
)
def log_in(request: Request, space: Space, given: Credentials) -> NewSession:
    """Log in. The answer to a wrong name, a wrong password and a locked one is the same."""
    session = new_session(request, space, given.name, given.password)
    return NewSession(secret=session.secret, expires_at=session.expires_at)


@router.delete("/session", status_code=204)
def log_out(caller: InSession, space: Space) -> None:
    """Log out: end the session that this is called with."""
    who = caller.identity
    assert who.session_id is not None  # noqa: S101  the guard has seen to it
    with space.engine.begin() as conn:
        accounts.end_session(conn, who.user_id, who.session_id, caller.actor)


def new_session(request: Request, space: Workspace, name: str, password: str) -> NewSecret:
    """A session of who knows the password. Raises Problem 401."""
    agent = request.headers.get("user-agent")
    session = accounts.log_in(space.engine, name, password, actor_of(request), agent)
    if session is None:
        raise Problem(401, WRONG, {"WWW-Authenticate": "Bearer"})
    return session
