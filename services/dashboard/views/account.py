"""Account: one's own password, logins and tokens for programs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.dashboard import parts
from services.dashboard.client import ApiError, together
from services.dashboard.session import api, me

LONGEST_DAYS = 366
FIRST_DAYS = 90


def show() -> None:
    st.title("Account")
    person = me()
    parts.facts(
        f"name {person.name}", f"role {person.role}", "may " + ", ".join(sorted(person.permissions))
    )
    asked = api()
    told = together(
        sessions=lambda: asked.get("/v1/me/sessions"), tokens=lambda: asked.get("/v1/me/tokens")
    )
    _tokens(told["tokens"]["items"])
    _sessions(told["sessions"]["items"])
    _password()


def _tokens(tokens: list[dict[str, Any]]) -> None:
    st.subheader("Tokens for programs")
    st.write("A program sends a token as `Authorization: Bearer …` and may do what it is made for.")
    secret = st.session_state.pop("new_token", None)
    if secret:
        st.success("This is the new token. It is shown only now: copy it.")
        st.code(secret, language=None)
    if not tokens:
        parts.empty("There are no tokens.", "Make one below where a program needs the API.")
    for token in tokens:
        parts.token("/v1/me/tokens", token)
    with st.form("token", clear_on_submit=True):
        name = st.text_input("What the token is for", max_chars=100)
        scopes = st.multiselect("What it may do", sorted(me().permissions), default=["read"])
        days = st.number_input("Days until it ends", 1, LONGEST_DAYS, FIRST_DAYS)
        if st.form_submit_button("Make a token"):
            body = {"name": name, "scopes": scopes, "expires_in_days": days}
            st.session_state["new_token"] = api().post("/v1/me/tokens", body)["secret"]
            st.rerun()


def _sessions(sessions: list[dict[str, Any]]) -> None:
    st.subheader("Logins")
    for each in sessions:
        parts.ending(
            f"/v1/me/sessions/{each['session_id']}",
            "End",
            f"Login {each['session_id']}",
            "The login is ended.",
            f"since {parts.moment(each['created_at'])}",
            f"from {each['address'] or 'an unknown address'}",
            each["user_agent"] or "",
            "this one" if each["is_this"] else "",
        )


def _password() -> None:
    st.subheader("Password")
    with st.form("password", clear_on_submit=True):
        current = st.text_input(
            "Current password", type="password", autocomplete="current-password"
        )
        new = st.text_input("New password", type="password", autocomplete="new-password")
        if not st.form_submit_button("Change the password"):
            return
    try:
        api().post("/v1/me/password", {"current": current, "new": new})
    except ApiError as error:
        parts.problem(error)
        return
    st.success("The password is changed. Your other logins are ended.")
