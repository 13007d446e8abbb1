"""Users: who may log in, as what, and whom an admin invites."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.dashboard import parts
from services.dashboard.client import path, together
from services.dashboard.session import api
from services.dashboard.text import label

ROLES = ["viewer", "analyst", "admin"]
ROLES_HELP = (
    "A viewer reads. An analyst also gives feedback and starts runs. An admin also manages users."
)


def show() -> None:
    st.title("Users")
    asked = api()
    told = together(
        users=lambda: asked.get("/v1/users", limit=500),
        invitations=lambda: asked.get("/v1/invitations", limit=500),
        tokens=lambda: asked.get("/v1/tokens", limit=500),
    )
    users, invitations = told["users"]["items"], told["invitations"]["items"]
    parts.table(
        "Users",
        ["Name", "Role", "E-mail", "May log in", "Locked", "Since"],
        [
            (
                u["name"],
                u["role"],
                u["email"],
                u["is_active"],
                u["is_locked"],
                parts.day(u["created_at"]),
            )
            for u in users
        ],
    )
    left, right = st.columns(2)
    with left:
        _change(users)
    with right:
        _create()
    _invitations(invitations)
    _tokens(told["tokens"]["items"])


def _change(users: list[dict[str, Any]]) -> None:
    st.subheader("Change a user")
    by_name = {user["name"]: user for user in users}
    name = st.selectbox("User", list(by_name), key="user", bind="query-params")
    if name is None:
        return
    user, place = by_name[name], path("users", name)
    with st.form("change"):
        role = st.selectbox("Role", ROLES, ROLES.index(user["role"]), help=ROLES_HELP)
        is_active = st.checkbox("May log in", user["is_active"])
        unlock = user["is_locked"] and st.checkbox("Unlock: too many wrong passwords locked it")
        if st.form_submit_button("Change"):
            api().patch(place, {"role": role, "is_active": is_active, "unlock": unlock})
            parts.tell(f"{label(name)} is changed.")
            st.rerun()
    with st.popover("Set a password"), st.form("reset", border=False, clear_on_submit=True):
        new = st.text_input("New password", type="password", autocomplete="new-password")
        if st.form_submit_button("Set it and end the logins"):
            api().post(f"{place}/password", {"new": new})
            parts.tell(f"{label(name)} has another password and must log in again.")
            st.rerun()
    if st.button("End all logins of this user"):
        api().delete(f"{place}/sessions")
        parts.tell(f"{label(name)} must log in again.")
        st.rerun()


def _create() -> None:
    st.subheader("Make a user")
    with st.form("create", clear_on_submit=True):
        name = st.text_input("Name", max_chars=64)
        email = st.text_input("E-mail, if any", max_chars=200)
        role = st.selectbox("Role", ROLES, help=ROLES_HELP)
        password = st.text_input("First password", type="password", autocomplete="new-password")
        if st.form_submit_button("Make the user"):
            body = {"name": name, "email": email or None, "role": role, "password": password}
            api().post("/v1/users", body)
            parts.tell(f"{label(name)} may log in now.")
            st.rerun()


def _invitations(invitations: list[dict[str, Any]]) -> None:
    st.subheader("Invitations")
    link = st.session_state.pop("invitation", None)
    if link:
        st.success("Send this link to one person. It is shown only now, and works once.")
        st.code(link, language=None)
    with st.form("invite"):
        role = st.selectbox("Role of the invited", ROLES, help=ROLES_HELP)
        days = st.number_input("Days until it ends", 1, 90, 7)
        if st.form_submit_button("Make an invitation"):
            body = {"role": role, "expires_in_days": days}
            st.session_state["invitation"] = api().post("/v1/invitations", body)["link"]
            st.rerun()
    for each in invitations:
        parts.ending(
            f"/v1/invitations/{each['invitation_id']}",
            "Revoke",
            f"Invitation {each['invitation_id']}",
            "The invitation is revoked.",
            f"for a new {each['role']}",
            f"by {each['invited_by']}",
            f"until {parts.moment(each['expires_at'])}",
        )


def _tokens(tokens: list[dict[str, Any]]) -> None:
    st.subheader("Tokens of all users")
    if not tokens:
        parts.empty("There are no tokens.", "Everybody makes their own, on the page Account.")
    for token in tokens:
        parts.token("/v1/tokens", token, f"of {token['user']}")
