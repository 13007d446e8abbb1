"""Tonight: all sources over the hours of a night, its incidents, and the state of the pipeline."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import streamlit as st

from services.dashboard import charts, parts
from services.dashboard.charts import Night
from services.dashboard.client import path, together
from services.dashboard.parts import SEVERITIES, count, severity, state
from services.dashboard.session import api
from services.dashboard.text import escaped, label

DAY = timedelta(days=1)
NIGHTS = 60
SHOWN = 15
NOTES = {"not_scored": "▨ not scored", "partly": "▨ partly scored"}


def show() -> None:
    asked = api()
    since = (datetime.now(UTC) - NIGHTS * DAY).isoformat()
    with ThreadPoolExecutor(1) as pool:
        # The slowest, and the last on the page.
        pipeline = pool.submit(asked.get, "/v1/pipeline")
        rows = asked.get("/v1/coverage", **{"from": since}, limit=500)["items"]
        with st.container(
            horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"
        ):
            st.title("Tonight", width="content")
            night = _night(rows)
        if night is None:
            parts.empty(
                "No night has been scored yet.",
                "Run `ingest_logs` and `score_nightly` in Airflow, or `make demo`.",
            )
        else:
            _show_night(night, [row for row in rows if _day(row) == night])
        _pipeline(pipeline.result())


def _day(row: dict[str, Any]) -> str:
    return row["interval_start"][:10]


def _night(rows: list[dict[str, Any]]) -> str | None:
    """The night that the address names, or the newest."""
    nights = sorted({_day(row) for row in rows}, reverse=True)
    if not nights:
        return None
    return st.selectbox("Night (UTC)", nights, key="night", bind="query-params", width=170)


def _show_night(night: str, covered: list[dict[str, Any]]) -> None:
    asked = api()
    start = datetime.fromisoformat(night).replace(tzinfo=UTC)
    end = start + DAY
    within = {"from": start.isoformat(), "to": end.isoformat()}
    sources = sorted({row["source"] for row in covered})
    calls = {name: partial(asked.get, path("sources", name, "rates"), **within) for name in sources}
    told = together(incidents=partial(asked.get, "/v1/incidents", **within, limit=100), **calls)
    incidents = [
        {**each, "number": number} for number, each in enumerate(told["incidents"]["items"], 1)
    ]
    notes = {row["source"]: NOTES.get(row["state"], "") for row in covered}
    nights = [
        Night(
            name,
            told[name]["items"],
            [each for each in incidents if name in each["sources"]],
            notes.get(name, ""),
        )
        for name in sources
    ]
    _legend({each["severity"] for each in incidents})
    charts.timeline(nights, start, end)
    for row in covered:
        if row["state"] != "scored":
            st.warning(f"{row['source']}: {label(row['reason'])}", icon=":material/warning:")
    _incidents(incidents, covered, told["incidents"]["next_cursor"] is not None)


def _legend(there: set[str]) -> None:
    parts.facts(
        "The strip is darker in hours of more events.",
        *(severity(name) for name in SEVERITIES if name in there),
        "The numbers are those of the list." if there else "",
    )


def _incidents(
    incidents: list[dict[str, Any]], covered: list[dict[str, Any]], are_more: bool
) -> None:
    st.subheader("Incidents")
    if not incidents:
        judged = sum(row["windows"] for row in covered)
        parts.empty(
            f"Nothing was strange in this night: {judged:,} windows were judged.",
            "The state below says what this rests on.",
        )
        return
    for incident in incidents[: st.session_state.get("shown", SHOWN)]:
        card(incident)
    if len(incidents) > st.session_state.get("shown", SHOWN):
        if st.button(f"Show all {len(incidents)}"):
            st.session_state["shown"] = len(incidents)
            st.rerun()
    elif are_more:
        parts.note("Only the first 100 are shown.")


def in_short(incident: dict[str, Any]) -> tuple[str, ...]:
    """The facts of an incident that every page tells."""
    return (
        severity(incident["severity"]),
        state(incident["state"]),
        ", ".join(incident["sources"]),
        parts.span(incident["started_at"], incident["ended_at"]),
        count(incident["anomalies"], "anomaly", "anomalies"),
    )


def card(incident: dict[str, Any]) -> None:
    """An incident in a list, with a link to its page."""
    with st.container(border=True, gap="small"):
        parts.facts(f"{incident['number']}." if "number" in incident else "", *in_short(incident))
        parts.link("incident", incident["title"], id=incident["incident_id"])
        parts.show(f'<p class="quiet">{escaped(incident["reason"], 400)}</p>')


def _pipeline(pipeline: dict[str, Any]) -> None:
    st.subheader("State of the pipeline")
    ailing = [each for each in pipeline["components"] if each["is_healthy"] is False]
    for each in ailing:
        told = label(f"{each['name']} is not well: {each['reason']}")
        st.error(told, icon=":material/error:")
    parts.table(
        "State of the pipeline",
        ["Source", "Last ingest", "Last night scored", "Champion", "Drift"],
        [_source(each) for each in pipeline["sources"]],
    )
    if pipeline["components"] and not ailing:
        names = ", ".join(each["name"] for each in pipeline["components"] if each["is_healthy"])
        parts.note(f"Well: {names}.")


def _source(told: dict[str, Any]) -> tuple[object, ...]:
    ingest, night = told["last_ingest"], told["last_night"]
    measured = f"none on {told['measured_day']}" if told["measured_day"] else "not measured yet"
    return (
        told["source"],
        parts.moment(ingest["at"]) if ingest else "nothing came yet",
        f"{parts.day(night['interval_start'])}: {night['reason']}" if night else "none yet",
        f"version {told['champion']}" if told["champion"] else "none: novelty judges",
        "; ".join(each["reason"] for each in told["drift"]) or measured,
    )
