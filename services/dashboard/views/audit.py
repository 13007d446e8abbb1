"""Audit log: who did what, when and from where; to browse, filter and take along."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from services.dashboard import parts
from services.dashboard.session import api

PAGE = 50
FIRST_DAYS = 7


def show() -> None:
    st.title("Audit log")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        actor = st.text_input("Who", key="actor", bind="query-params", width=180)
        action = st.text_input(
            "What", key="action", bind="query-params", width=200, placeholder="session.login"
        )
        subject = st.text_input("Of what", key="subject", bind="query-params", width=200)
        days = st.number_input(
            "Last days", 1, 3650, FIRST_DAYS, key="days", bind="query-params", width=140
        )
    since = (datetime.now(UTC) - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    asked = {"actor": actor, "action": action, "subject": subject, "from": since.isoformat()}
    page = api().get("/v1/audit", **asked, cursor=_cursor(asked), limit=PAGE)
    _rows(page["items"])
    _pages(page["next_cursor"])
    _export(asked)


def _cursor(asked: dict[str, str]) -> str | None:
    """Where the shown page starts: other filters start anew."""
    if st.session_state.get("audit_asked") != asked:
        st.session_state["audit_asked"], st.session_state["audit_pages"] = asked, [None]
    pages: list[str | None] = st.session_state["audit_pages"]
    return pages[-1]


def _rows(rows: list[dict[str, Any]]) -> None:
    if not rows:
        parts.empty("Nobody did such a thing in this time.", "Take more days, or fewer filters.")
        return
    parts.table(
        "Actions",
        ["When (UTC)", "Who", "What", "Of what", "Through", "From", "Before", "After"],
        [
            (
                datetime.fromisoformat(row["at"]).strftime("%Y-%m-%d %H:%M:%S"),
                row["actor"] + (f" (token {row['token_id']})" if row["token_id"] else ""),
                row["action"],
                row["subject"],
                row["origin"],
                row["address"],
                _document(row["before"]),
                _document(row["after"]),
            )
            for row in rows
        ],
    )


def _document(value: dict[str, Any] | None) -> object:
    return parts.code(json.dumps(value, ensure_ascii=False)) if value else None


def _pages(following: str | None) -> None:
    pages: list[str | None] = st.session_state["audit_pages"]
    with st.container(horizontal=True):
        if st.button("Newer", disabled=len(pages) == 1):
            pages.pop()
            st.rerun()
        if st.button("Older", disabled=following is None):
            pages.append(following)
            st.rerun()


def _export(asked: dict[str, str]) -> None:
    st.subheader("Take it along")
    caller = api()  # what is downloaded is made in another thread, which knows no page
    with st.container(horizontal=True):
        for kind, mime in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
            st.download_button(
                f"Download as {kind.upper()}",
                lambda kind=kind: caller.text("/v1/audit/export", format=kind, **asked),
                file_name=f"audit.{kind}",
                mime=mime,
                on_click="ignore",
            )
