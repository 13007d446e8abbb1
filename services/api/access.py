"""Who calls, and what they may do.

A secret comes in the header `Authorization: Bearer …` (the API tokens of programs, and sessions)
or in the cookie of a login. A role gives permissions; a token has those of them that are among its
scopes. Each route names one guard: `needs(…)`, `signed_in`, `in_session` or `anybody`.

What waits for nothing is `async`: all else costs each request the way to a thread and back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from include.database import logins
from include.database.audit import NOBODY, Actor, Origin
from include.database.logins import Identity
from include.sources import InvalidSource, sources_at_hand
from include.workspace import Workspace
from services.api.problems import Problem

log = structlog.get_logger()

COOKIE = "loganalyzer_session"
DASHBOARD_AGENT = "loganalyzer-dashboard"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

bearer = HTTPBearer(auto_error=False, description="An API token, or the secret of a session")
cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="What a login has set")
Kept = Annotated[str | None, Security(cookie)]


class Permission(StrEnum):
    """What a role gives and a route asks for; also the scopes of tokens."""

    READ = "read"
    SCORE = "score"
    JUDGE = "judge"
    RUN = "run"
    ADMIN = "admin"


PERMISSIONS = {
    "viewer": {Permission.READ, Permission.SCORE},
    "analyst": {Permission.READ, Permission.SCORE, Permission.JUDGE, Permission.RUN},
    "admin": set(Permission),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls with what permissions, and what the record of actions needs to know of them."""

    identity: Identity
    permissions: frozenset[Permission]
    actor: Actor


async def workspace_of(request: Request) -> Workspace:
    """The workspace with the log sources of the start, and those whose files have come or changed
    since. A file that cannot be read must not end all logins: the log tells of it."""
    space: Workspace = request.app.state.workspace
    try:
        now = sources_at_hand(space.settings.source_folders)
        return replace(space, sources={**space.sources, **now})
    # Also what is no text, may not be read, or has gone meanwhile.
    except (InvalidSource, OSError, UnicodeDecodeError) as error:
        log.error("the log sources are those of the start", because=str(error))
        return space


Space = Annotated[Workspace, Depends(workspace_of)]


def actor_of(request: Request, identity: Identity | None = None) -> Actor:
    """Who is written down for what a request does."""
    agent = request.headers.get("user-agent", "")
    origin: Origin = "dashboard" if agent.startswith(DASHBOARD_AGENT) else "api"
    return Actor(
        actor=identity.name if identity else NOBODY,
        token_id=identity.token_id if identity else None,
        origin=origin,
        address=request.client.host if request.client else None,
        request_id=request.state.request_id,
    )


def _identified(
    request: Request,
    space: Space,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
    kept: Kept,
) -> Caller:
    """Who calls. Raises Problem 401 where nobody known does, and 403 where a page of another site
    calls with the cookie of a login."""
    secret = given.credentials if given else kept
    identity = None
    if secret:
        with space.engine.connect() as conn:
            identity = logins.identify(conn, secret)
    if identity is None:
        what = "this login or token is not known any more" if secret else "this needs a login"
        told = f"{what}: log in, or send an API token as `Authorization: Bearer …`"
        raise Problem(401, told, {"WWW-Authenticate": "Bearer"})
    if given is None and request.method not in SAFE_METHODS and not is_from_own_page(request):
        raise Problem(403, "a page of another site may not do this with your login")
    allowed = PERMISSIONS[identity.role]
    if identity.scopes is not None:
        allowed = allowed & set(identity.scopes)
    caller = Caller(identity, frozenset(allowed), actor_of(request, identity))
    request.state.caller = caller
    return caller


def is_from_own_page(request: Request) -> bool:
    """Whether it was one of our pages that made a browser send this."""
    settings = request.app.state.workspace.settings
    ours = {origin_of(settings.api_url), origin_of(str(request.base_url))}
    return request.headers.get("origin") in ours - {""}


def origin_of(url: str) -> str:
    """The scheme, host and port of an address; empty where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


Identified = Annotated[Caller, Depends(_identified)]


def needs(permission: Permission) -> Callable[..., Caller]:
    """A guard: the caller, who has a permission. Problem 401 or 403 otherwise."""

    async def guard(caller: Identified) -> Caller:
        if permission not in caller.permissions:
            raise Problem(403, f"this needs the permission {permission.value!r}: {_has(caller)}")
        return caller

    guard.permission = permission  # type: ignore[attr-defined]
    return guard


def _has(caller: Caller) -> str:
    has = ", ".join(sorted(caller.permissions)) or "none"
    what = "token" if caller.identity.token_id else f"role {caller.identity.role!r}"
    return f"your {what} gives {has}"


async def signed_in(caller: Identified) -> Caller:
    """A guard: the caller, whatever they may do."""
    return caller


async def in_session(caller: Identified) -> Caller:
    """A guard: the caller, a person who has logged in: a token does not change its own account."""
    if caller.identity.token_id is not None:
        raise Problem(403, "this needs a login: a token may not do it")
    return caller


async def anybody() -> None:
    """A guard that lets everybody pass."""


needs_read, needs_score = needs(Permission.READ), needs(Permission.SCORE)
needs_judge, needs_run = needs(Permission.JUDGE), needs(Permission.RUN)
needs_admin = needs(Permission.ADMIN)
GUARDS = (
    needs_read, needs_score, needs_judge, needs_run, needs_admin, signed_in, in_session, anybody,
)  # fmt: skip
Reader = Annotated[Caller, Depends(needs_read)]
Scorer = Annotated[Caller, Depends(needs_score)]
Judge = Annotated[Caller, Depends(needs_judge)]
Runner = Annotated[Caller, Depends(needs_run)]
Admin = Annotated[Caller, Depends(needs_admin)]
SignedIn = Annotated[Caller, Depends(signed_in)]
InSession = Annotated[Caller, Depends(in_session)]


def guard_of(route: APIRoute) -> Callable[..., Any]:
    """The guard of a route. Raises TypeError where it has none or several."""
    found = {each for each in _calls(route.dependant) if each in GUARDS}
    if len(found) != 1:
        raise TypeError(f"{route.methods} {route.path} has {len(found)} guards: it needs one")
    return found.pop()


def _calls(dependant: Any) -> Iterator[Callable[..., Any]]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)
