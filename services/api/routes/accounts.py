"""What people do with their own account: log in, see who they are, make tokens, register."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from include import passwords
from include.database import accounts, logins, registration
from include.database.accounts import AccountConflict, InvalidAccount, Refused
from include.database.logins import NewSecret
from include.workspace import Workspace
from services.api.access import (
    InSession,
    Permission,
    SignedIn,
    Space,
    actor_of,
    anybody,
)
from services.api.fields import Id, Reason
from services.api.limits import count_login
from services.api.paging import Cursor, Limit, Page, before_of, page_of
from services.api.problems import Problem, responses

router = APIRouter(prefix="/v1", tags=["accounts"])

WRONG = "the name or password is wrong, or locked for a while after too many wrong ones"
GivenName = Annotated[str, StringConstraints(max_length=64)]
GivenPassword = Annotated[str, StringConstraints(max_length=passwords.LONGEST)]
NewName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$"),
    Field(description="kept in small letters"),
]
NewPassword = Annotated[str, StringConstraints(min_length=passwords.SHORTEST, max_length=200)]
Email = Annotated[
    str, StringConstraints(max_length=320, pattern=r"^[^@\s\x00]{1,64}@[^@\s\x00]{1,255}$")
]


@contextmanager
def told_problems() -> Iterator[None]:
    """What cannot be done with an account, as a problem."""
    try:
        yield
    except Refused as error:
        raise Problem(403, str(error)) from error
    except AccountConflict as error:
        raise Problem(409, str(error)) from error
    except InvalidAccount as error:
        raise Problem(422, str(error)) from error


class Me(BaseModel):
    """Who calls."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "ada",
                    "role": "viewer",
                    "permissions": ["read", "score"],
                    "token": None,
                }
            ]
        }
    )

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
        logins.end_session(conn, who.user_id, who.session_id, caller.actor)


def new_session(request: Request, space: Workspace, name: str, password: str) -> NewSecret:
    """A session of who knows the password. Raises Problem 401."""
    agent = request.headers.get("user-agent")
    session = accounts.log_in(space.engine, name, password, actor_of(request), agent)
    if session is None:
        raise Problem(401, WRONG, {"WWW-Authenticate": "Bearer"})
    return session


class SessionItem(BaseModel):
    session_id: int
    created_at: datetime
    expires_at: datetime
    address: str | None = Field(description="where it was made from")
    user_agent: str | None = Field(description="the program that it was made with")
    is_this: bool = Field(description="whether this request was made with it")


@router.get("/me/sessions")
def sessions(
    caller: InSession, space: Space, cursor: Cursor = None, limit: Limit = 50
) -> Page[SessionItem]:
    """Your logins that have not ended, the newest first."""
    who = caller.identity
    with space.engine.connect() as conn:
        found = logins.sessions_of(conn, who.user_id, before_of(cursor), limit + 1)
    rows = [row | {"is_this": row["session_id"] == who.session_id} for row in found]
    return Page[SessionItem](**page_of(rows, limit, "session_id"))


@router.delete("/me/sessions/{session_id}", status_code=204, responses=responses(404))
def end_session(session_id: Id, caller: InSession, space: Space) -> None:
    """End one of your logins, such as that of a computer you have lost."""
    with space.engine.begin() as conn:
        if not logins.end_session(conn, caller.identity.user_id, session_id, caller.actor):
            raise Problem(404, f"no login {session_id} of yours: `GET /v1/me/sessions` lists them")


class PasswordChange(BaseModel):
    current: GivenPassword
    new: NewPassword


@router.post(
    "/me/password",
    status_code=204,
    dependencies=[Depends(count_login)],
    responses=responses(409, 429),
)
def change_password(given: PasswordChange, caller: InSession, space: Space) -> None:
    """Change your password; your other logins end. Wrong ones count as those of a login do."""
    with told_problems():
        is_changed = accounts.change_password(
            space.engine, caller.identity, given.current, given.new, caller.actor
        )
    if not is_changed:
        raise Problem(409, "the current password is another one, or locked for a while")


class TokenRequest(BaseModel):
    name: Reason = Field(description="what it is for", examples=["nightly report"])
    scopes: list[Permission] = Field(min_length=1, max_length=len(Permission))
    expires_in_days: int = Field(ge=1, le=366)


class TokenItem(BaseModel):
    token_id: int
    name: str
    scopes: list[Permission] = Field(description="it has those that its user has, too")
    created_at: datetime
    expires_at: datetime


class NewToken(BaseModel):
    token_id: int
    secret: str = Field(description="goes into `Authorization: Bearer …`; it is told only here")
    name: str
    scopes: list[Permission]
    expires_at: datetime


@router.get("/me/tokens")
def tokens(
    caller: InSession, space: Space, cursor: Cursor = None, limit: Limit = 50
) -> Page[TokenItem]:
    """Your tokens that are good, the newest first."""
    with space.engine.connect() as conn:
        rows = logins.tokens_of(conn, caller.identity.user_id, before_of(cursor), limit + 1)
    return Page[TokenItem](**page_of(rows, limit, "token_id"))


@router.post("/me/tokens", status_code=201)
def create_token(given: TokenRequest, caller: InSession, space: Space) -> NewToken:
    """Make a token for a program, with some of your rights; it loses those that you lose."""
    lacking = sorted(set(given.scopes) - caller.permissions)
    if lacking:
        raise Problem(403, f"a token has no more rights than you: you lack {', '.join(lacking)}")
    scopes = sorted(set(given.scopes))
    lasts = timedelta(days=given.expires_in_days)
    with space.engine.begin() as conn:
        token = logins.create_token(
            conn, caller.identity.user_id, given.name, list(scopes), lasts, caller.actor
        )
    return NewToken(
        token_id=token.id,
        secret=token.secret,
        name=given.name,
        scopes=scopes,
        expires_at=token.expires_at,
    )


@router.delete("/me/tokens/{token_id}", status_code=204, responses=responses(404))
def revoke_token(token_id: Id, caller: InSession, space: Space) -> None:
    """Revoke a token."""
    with space.engine.begin() as conn:
        if not logins.revoke_token(conn, caller.identity.user_id, token_id, caller.actor):
            raise Problem(404, f"no token {token_id} of yours: `GET /v1/me/tokens` lists them")


class Registration(BaseModel):
    name: NewName
    password: NewPassword
    email: Email | None = None
    invitation: GivenPassword | None = Field(
        default=None, description="what the link of it ends with"
    )


class Registered(BaseModel):
    name: str
    role: str


@router.post(
    "/registrations",
    status_code=201,
    dependencies=[Depends(anybody), Depends(count_login)],
    responses=responses(403, 409, 429),
)
def register(request: Request, space: Space, given: Registration) -> Registered:
    """Make yourself an account, where that is open to all, or with an invitation."""
    _, role = registered(request, space, given.name, given.password, given.email, given.invitation)
    return Registered(name=given.name.lower(), role=role)


def registered(
    request: Request,
    space: Workspace,
    name: str,
    password: str,
    email: str | None,
    invitation: str | None,
) -> tuple[int, str]:
    """Who has registered, and their role. Raises Problem 403, 409 or 422."""
    with told_problems(), space.engine.begin() as conn:
        return registration.register(
            conn,
            space.settings.registration,
            name,
            password,
            email,
            invitation,
            actor_of(request),
        )
