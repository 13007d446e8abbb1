"""Log in, register and log out in a browser. The cookie set here is that of the dashboard too."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import AfterValidator

from include.database import logins, registration
from include.database.accounts import Refused
from include.database.logins import SESSION_LASTS, Identity, NewSecret
from include.settings import Settings
from include.workspace import Workspace
from services.api import oidc
from services.api.access import (
    COOKIE,
    Kept,
    Space,
    actor_of,
    anybody,
    is_from_own_page,
    origin_of,
)
from services.api.limits import count_login
from services.api.pages import page
from services.api.problems import Problem
from services.api.routes.accounts import new_session, registered

router = APIRouter(include_in_schema=False, dependencies=[Depends(anybody)])


def _writable(text: str) -> str:
    """Halves of characters, which a form in an encoding of its choice may hold, as `?`."""
    return text.encode(errors="replace").decode()


Asked = Annotated[str, Query(alias="next")]
# A form may be sent with anything; what fits no account is told to be wrong as any other.
Next = Annotated[str, AfterValidator(_writable), Form(alias="next")]
Given = Annotated[str, AfterValidator(_writable), Form()]


@router.get("/")
async def show_dashboard(space: Space) -> Response:
    """For those who open the address of the API."""
    return RedirectResponse(space.settings.dashboard_url, 303)


@router.get("/login")
def show_login(space: Space, kept: Kept, then: Asked = "") -> Response:
    """A form; for those who have logged in, the ways on and out."""
    target = safe_target(space.settings, then)
    who = _known(space, kept)
    if who is None:
        return _login_page(space.settings, target)
    return page(space.settings, "welcome", name=who.name, role=who.role, then=target)


@router.post("/login")
def log_in(
    request: Request, space: Space, name: Given = "", password: Given = "", then: Next = ""
) -> Response:
    target = safe_target(space.settings, then)
    try:
        _refuse_other_sites(request)
        count_login(request)
        session = new_session(request, space, name, password)
    except Problem as problem:
        return _login_page(space.settings, target, problem, name)
    return entered(space.settings, session, target)


@router.post("/logout")
def log_out(request: Request, space: Space, kept: Kept) -> Response:
    """End the session of the cookie."""
    _refuse_other_sites(request)
    who = _known(space, kept)
    if who is not None and who.session_id is not None:
        with space.engine.begin() as conn:
            logins.end_session(conn, who.user_id, who.session_id, actor_of(request, who))
    answer = RedirectResponse("login", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/register")
def show_register(space: Space, invitation: str = "", then: Asked = "") -> Response:
    """A form, where somebody may register."""
    form = {"name": "", "email": "", "invitation": invitation}
    with space.engine.connect() as conn:
        try:
            registration.may_register(conn, space.settings.registration, invitation)
        except Refused as error:
            return _register_page(space.settings, then, Problem(403, str(error)), **form)
    return _register_page(space.settings, then, **form)


@router.post("/register")
def register(
    request: Request,
    space: Space,
    name: Given = "",
    password: Given = "",
    email: Given = "",
    invitation: Given = "",
    then: Next = "",
) -> Response:
    try:
        _refuse_other_sites(request)
        count_login(request)
        user_id, _ = registered(request, space, name, password, email or None, invitation)
    except Problem as problem:
        form = {"name": name, "email": email, "invitation": invitation}
        return _register_page(space.settings, then, problem, **form)
    with space.engine.begin() as conn:
        who = replace(actor_of(request), actor=name.lower())
        agent = request.headers.get("user-agent")
        session = logins.start_session(conn, user_id, who, agent)
    return entered(space.settings, session, safe_target(space.settings, then))


@router.get("/oidc/login")
def begin_sign_in(request: Request, space: Space, then: Asked = "") -> Response:
    """On to the identity provider."""
    settings = space.settings
    if not settings.has_oidc:
        raise Problem(404, "no identity provider is set: log in with a name and password")
    target = safe_target(settings, then)
    try:
        count_login(request)
        address, kept = oidc.begin(settings, target)
    except oidc.SignInFailed as error:
        return _login_page(settings, target, Problem(502, str(error)), base="../")
    answer = RedirectResponse(address, 303)
    _set_cookie(answer, settings, oidc.COOKIE, kept, oidc.LASTS_S)
    return answer


@router.get("/oidc/callback")
def finish_sign_in(request: Request, space: Space) -> Response:
    """Back from the identity provider."""
    settings = space.settings
    if not settings.has_oidc:
        raise Problem(404, "no identity provider is set: log in with a name and password")
    try:
        count_login(request)
        kept = request.cookies.get(oidc.COOKIE)
        who, target = oidc.finish(settings, kept, request.query_params)
        session = _signed_in(request, space, who)
    except oidc.SignInFailed as error:
        problem = Problem(403, str(error))
        answer = _login_page(settings, settings.dashboard_url, problem, base="../")
    else:
        answer = entered(settings, session, target)
    answer.delete_cookie(oidc.COOKIE)
    return answer


def _signed_in(request: Request, space: Workspace, who: oidc.SignedIn) -> NewSecret:
    with space.engine.begin() as conn:
        session = registration.sign_in(
            conn,
            who.subject,
            who.called,
            who.email,
            space.settings.oidc_role,
            actor_of(request),
            request.headers.get("user-agent"),
        )
    if session is None:
        raise oidc.SignInFailed("an admin has stopped this account")
    return session


def entered(settings: Settings, session: NewSecret, target: str) -> Response:
    """On to where somebody wanted to go, with the cookie of their session."""
    answer = RedirectResponse(target, 303)
    lasts_s = int(SESSION_LASTS.total_seconds())
    _set_cookie(answer, settings, COOKIE, session.secret, lasts_s)
    return answer


def _set_cookie(answer: Response, settings: Settings, name: str, value: str, lasts_s: int) -> None:
    is_secure = settings.api_url.startswith("https:")
    answer.set_cookie(name, value, lasts_s, secure=is_secure, httponly=True, samesite="lax")


def safe_target(settings: Settings, asked: str) -> str:
    """Where to go on: a page of ours, the dashboard where another was asked for."""
    if asked and all(char.isprintable() and char not in "\\ " for char in asked):
        if asked.startswith("/") and not asked.startswith("//"):
            return asked
        if origin_of(asked) in {origin_of(settings.api_url), origin_of(settings.dashboard_url)}:
            return asked
    return settings.dashboard_url


def _known(space: Workspace, kept: str | None) -> Identity | None:
    if not kept:
        return None
    with space.engine.connect() as conn:
        return logins.identify(conn, kept)


def _refuse_other_sites(request: Request) -> None:
    if not is_from_own_page(request):
        raise Problem(403, "a page of another site sent this form: open the page here again")


def _login_page(
    settings: Settings,
    target: str,
    problem: Problem | None = None,
    name: str = "",
    base: str = "",
) -> Response:
    return page(
        settings,
        "login",
        problem,
        base=base,
        then=target,
        name=name[:64],
        registration=settings.registration,
        has_oidc=settings.has_oidc,
    )


def _register_page(
    settings: Settings, then: str, problem: Problem | None = None, **form: str
) -> Response:
    may_register = problem is None or problem.status != 403
    target = safe_target(settings, then)
    return page(settings, "register", problem, then=target, may_register=may_register, **form)
