"""Template: its text, how often it comes, what became of it, and a line that shows it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.dashboard import charts, findings, parts
from services.dashboard.client import path, together
from services.dashboard.parts import code, count
from services.dashboard.session import api


def show() -> None:
    template_id = st.query_params.get("id")
    if not template_id:
        parts.empty("No template is chosen.", "Choose one of a source.")
        parts.link("sources", "Sources and templates")
        return
    place = path("templates", template_id)
    asked = api()
    told = together(
        template=lambda: asked.get(place),
        history=lambda: asked.get(f"{place}/history"),
        example=lambda: asked.get(f"{place}/example"),
    )
    template = told["template"]
    parts.heading(template["name"] or template["text"])
    parts.facts(
        template["source"],
        count(template["count"], "event"),
        f"{template['per_day']:,.1f} a day",
        f"first {parts.moment(template['first_seen_utc'])}",
        f"last {parts.moment(template['last_seen_utc'])}",
    )
    if template["name"]:
        parts.show(f"<p>{code(template['text'])}</p>")
    st.subheader("Events a day")
    charts.bars_over_time(told["history"]["days"], "day", "events of it by day")
    st.subheader("An example")
    if told["example"]["object_key"] is None:
        parts.empty("No object holds it any more.", "")
    else:
        findings.passages({"items": [told["example"]]})
    _changes(told["history"]["changes"])


def _changes(changes: list[dict[str, Any]]) -> None:
    st.subheader("What became of it")
    parts.table(
        "Changes",
        ["When (UTC)", "What", "Before", "After", "By", "Why"],
        [
            (
                parts.moment(each["changed_at"]),
                each["kind"],
                code(each["before"] or ""),
                code(each["after"] or ""),
                each["changed_by"],
                each["note"],
            )
            for each in changes
        ],
    )
