"""Who is logged in. The API sets the cookie; cookies ignore ports, so that it comes here too."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import streamlit as st

from services.dashboard import client
from services.dashboard.client import Api
from services.dashboard.settings import get_settings

COOKIE = "loganalyzer_session"


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    role: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        return permission in self.permissions


def api() -> Api:
    """The API in the name of whoever looks at this page."""
    return Api(client.connections(), secret(), address())


def secret() -> str | None:
    """Of the login that their browser sends."""
    return st.context.cookies.get(COOKIE)


def address() -> str | None:
    """Where their browser is; unknown on the same machine."""
    return st.context.ip_address


def person() -> Person:
    """Who looks at this page. Raises ApiError, with status 401 where nobody is logged in."""
    told: dict[str, Any] = api().get("/v1/me")
    return Person(told["name"], told["role"], frozenset(told["permissions"]))


def me() -> Person:
    """The same within a page, which only those who are logged in see."""
    found: Person = st.session_state["person"]
    return found


def sign_in() -> None:
    """The page of those who are not logged in."""
    st.title("LogAnalyzer")
    st.write("What was strange in the logs last night, why, and in which lines.")
    st.html(f'<a class="la-button" href="{escape(login_url())}">Sign in</a>')


def login_url() -> str:
    return f"{get_settings().api_url}/login?next={quote(_here(), safe='')}"


def _here() -> str:
    """This page as browsers have it, so that the login leads back to it."""
    page = urlsplit(st.context.url or "").path.rpartition("/")[2]
    query = urlencode(st.query_params.to_dict())
    return f"{get_settings().dashboard_url}/{page}{'?' if query else ''}{query}"
