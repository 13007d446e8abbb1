"""The entry: who is logged in, which pages there are, and the page asked for."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from services.dashboard import parts, session
from services.dashboard.client import ApiError
from services.dashboard.session import Person
from services.dashboard.views import (
    account,
    admin,
    audit,
    incident,
    models,
    onboarding,
    run,
    sources,
    template,
    tonight,
    try_it,
)

# Name in code, function, title, icon, and the permission that it needs. Those without an icon are
# reached from others.
PAGES = (
    ("tonight", tonight.show, "Tonight", "dark_mode", "read"),
    ("incident", incident.show, "Incident", None, "read"),
    ("sources", sources.show, "Sources and templates", "database", "read"),
    ("template", template.show, "Template", None, "read"),
    ("add-source", onboarding.show, "Add a source", "add_circle", "score"),
    ("models", models.show, "Models", "model_training", "read"),
    ("run", run.show, "Run", None, "read"),
    ("try-it", try_it.show, "Try it", "science", "score"),
    ("account", account.show, "Account", "person", ""),
    ("admin", admin.show, "Users", "group", "admin"),
    ("audit", audit.show, "Audit log", "history", "admin"),
)


def main() -> None:
    st.set_page_config(page_title="LogAnalyzer", page_icon=str(parts.ICON), layout="wide")
    st.html(parts.STYLE)
    try:
        person = session.person()
    except ApiError as error:
        # Each address stays known: whoever signs in comes back to it.
        _navigation(None)
        parts.problem(error)
        return
    st.session_state["person"] = person
    page = _navigation(person)
    _sidebar(person)
    parts.told()
    try:
        page.run()
    except ApiError as error:
        parts.problem(error)


def _navigation(person: Person | None) -> Any:
    pages = {
        name: st.Page(
            show,
            title=title,
            icon=f":material/{icon}:" if icon else None,
            url_path=name,
            default=name == "tonight",
            visibility="visible" if icon else "hidden",
        )
        for name, show, title, icon, needed in PAGES
        if person is None or not needed or person.may(needed)
    }
    st.session_state["pages"] = pages
    return st.navigation(list(pages.values()), position="sidebar" if person else "hidden")


def _sidebar(person: Person) -> None:
    with st.sidebar:
        parts.note(f"Signed in as {person.name}, {person.role}")
        st.html(f'<a class="la-link" href="{escape(session.login_url())}">Sign out</a>')


main()
