"""Sources and templates: how much comes in, what is new, and any template by its words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from services.dashboard import charts, parts
from services.dashboard.client import path, together
from services.dashboard.parts import Column
from services.dashboard.session import api

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
PAGE, NEW = 50, 5
SHORTEST = 2  # the API looks for no less
SORTS = {"most frequent": "count", "newest": "first_seen"}


def show() -> None:
    st.title("Sources and templates")
    sources = api().get("/v1/sources")["items"]
    if not sources:
        parts.empty("There are no sources.", "Add one from a sample of its log.")
        parts.link("add-source", "Add a source")
        return
    _table(sources)
    source = parts.source_choice([each["source"] for each in sources])
    if source is not None:
        _of_source(next(each for each in sources if each["source"] == source))


def _table(sources: list[dict[str, Any]]) -> None:
    parts.table(
        "Sources",
        [
            "Source",
            "Format",
            "Windows",
            Column("Templates", True),
            Column("Events", True),
            Column("Did not parse", True),
            "Last event",
            "Last ingest",
        ],
        [
            (
                each["source"],
                each["format"] if each["has_file"] else "its file is gone",
                each["windowing"],
                each["templates"],
                each["events"],
                each["lines_quarantined"],
                parts.moment(each["last_event_utc"]),
                parts.moment(each["last_ingest_at"]),
            )
            for each in sources
        ],
    )


def _of_source(source: dict[str, Any]) -> None:
    """What came in the week before its last event, which may be long ago."""
    name, last = source["source"], source["last_event_utc"]
    if last is None:
        parts.empty(
            "Nothing has come in yet.",
            f"Objects below {source['prefix']} in the bucket of logs are read each hour.",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input("Templates that hold", key="q", bind="query-params", width=300)
        order = st.selectbox(
            "In order of", list(SORTS), key="order", bind="query-params", width=200
        )
    end = datetime.fromisoformat(last) + HOUR
    week = {"from": (end - WEEK).isoformat(), "to": end.isoformat()}
    asked = api()
    told = together(
        rates=lambda: asked.get(path("sources", name, "rates"), **week),
        new=lambda: asked.get(
            "/v1/templates", source=name, new_since=week["from"], sort="first_seen", limit=NEW
        ),
        found=lambda: asked.get(
            "/v1/templates",
            source=name,
            q=words if len(words) >= SHORTEST else None,
            sort=SORTS[order],
            limit=PAGE,
        ),
    )
    rates, new, found = told["rates"]["items"], told["new"]["items"], told["found"]
    st.subheader("Events an hour, in its last seven days")
    charts.bars_over_time(rates, "hour_utc", f"events of {name} by hour")
    _templates("Newest templates of these days", new, "None was new.")
    _templates("All templates", found["items"], "No template holds these words.")
    if found["next_cursor"]:
        parts.note(f"The first {PAGE}: other words show others.")


def _templates(title: str, rows: list[dict[str, Any]], none: str) -> None:
    st.subheader(title)
    if not rows:
        parts.empty(none, "")
        return
    parts.table(
        title,
        ["Template", Column("Events", True), Column("A day", True), "First", "Last"],
        [
            (
                parts.anchor("template", row["name"] or row["text"], id=row["template_id"]),
                row["count"],
                f"{row['per_day']:,.1f}",
                parts.moment(row["first_seen_utc"]),
                parts.moment(row["last_seen_utc"]),
            )
            for row in rows
        ],
    )
