"""Incident: what happened, why it counts as odd, in which lines, and what people say of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from services.dashboard import charts, findings, parts
from services.dashboard.client import ApiError, path, together
from services.dashboard.parts import Column, code, count, severity
from services.dashboard.session import api, me
from services.dashboard.text import escaped, label, visible
from services.dashboard.views.tonight import card, in_short

CONTEXT = 5
MEANINGS = {"true": "it was real", "false": "a false alarm", "expected": "expected"}
VERDICTS = {
    True: MEANINGS["true"],
    False: MEANINGS["false"],
    None: "nobody said what it was",
}


def show() -> None:
    incident_id = st.query_params.get("id")
    if not incident_id:
        _list()
        return
    place = path("incidents", incident_id)
    asked = api()
    told = together(
        incident=lambda: asked.get(place),
        anomalies=lambda: asked.get(f"{place}/anomalies", limit=100),
        lines=lambda: asked.get(f"{place}/lines", context=CONTEXT),
        similar=lambda: asked.get(f"{place}/similar"),
    )
    incident = told["incident"]
    _head(incident)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _why(incident)
    with right:
        _judge(incident)
        _history(incident)
    _lines(told["lines"], incident)
    _similar(told["similar"]["items"])
    _anomalies(told["anomalies"]["items"])


def _list() -> None:
    st.title("Incidents")
    found = api().get("/v1/incidents", limit=50)["items"]
    if not found:
        parts.empty("There are no incidents.", "Tonight says what was judged.")
    for each in found:
        card(each)


def _head(incident: dict[str, Any]) -> None:
    parts.heading(incident["title"])
    sessions = incident["sessions"]
    parts.facts(*in_short(incident), count(sessions, "session") if sessions else "")
    if incident["resolved_at"]:
        told = f"{incident['resolved_by']} resolved it on {parts.moment(incident['resolved_at'])}: "
        parts.show(f"<p>{escaped(told + incident['resolved_reason'])}</p>")


def _why(incident: dict[str, Any]) -> None:
    st.subheader("Why")
    parts.show(f"<p>{escaped(incident['reason'])}</p>")
    findings.contributions(incident["explanation"])
    if len(incident["kinds"]) > 1:
        with st.expander(f"{len(incident['kinds'])} kinds of anomaly"):
            parts.table(
                "Kinds of anomaly",
                [Column("Anomalies", True), "Source", "Templates", Column("Score", True)],
                [
                    (
                        kind["anomalies"],
                        kind["source"],
                        code("\n".join(kind["texts"])),
                        kind["score"],
                    )
                    for kind in incident["kinds"]
                ],
            )


def _lines(told: dict[str, Any], incident: dict[str, Any]) -> None:
    st.subheader("Lines")
    if not told["items"]:
        parts.empty("No single line is to blame.", "It is their number that is odd.")
        return
    parts.note("▶ marks the lines that the anomaly points at; the others stand around them.")
    findings.passages(told, incident["explanation"])


def _history(incident: dict[str, Any]) -> None:
    """How often the templates that are odd came, day by day."""
    named = {
        each["template_id"]: findings.template_of(each) or ""
        for each in incident["explanation"]
        if each["template_id"]
    }
    if not named:
        return
    st.subheader("The template's history")
    chosen = next(iter(named))
    if len(named) > 1:
        chosen = st.selectbox(
            "Template", list(named), format_func=lambda key: visible(named[key], 80)
        )
    told = api().get(path("templates", chosen, "history"))
    charts.bars_over_time(told["days"], "day", "events of the template by day", 140)
    parts.link("template", named[chosen], id=chosen)


def _similar(alike: list[dict[str, Any]]) -> None:
    st.subheader("Similar past incidents")
    if not alike:
        parts.empty("None of the past is like it.", "")
    for each in alike:
        with st.container(border=True, gap="small"):
            parts.facts(
                f"{each['similarity']:.0%} alike",
                parts.day(each["started_at"]),
                severity(each["severity"]),
                VERDICTS[each["is_anomalous"]],
            )
            parts.link("incident", each["title"], id=each["incident_id"])


def _anomalies(rows: list[dict[str, Any]]) -> None:
    st.subheader("Its anomalies, the oddest first")
    parts.table(
        "Anomalies",
        ["Severity", "Source", "From (UTC)", "Session", Column("Score", True), "Why"],
        [
            (
                severity(row["severity"]),
                row["source"],
                parts.moment(row["time"]),
                row["session"],
                f"{row['score']:.2f}",
                row["reason"] + (" (muted)" if row["muted_by"] else ""),
            )
            for row in rows
        ],
    )


def _judge(incident: dict[str, Any]) -> None:
    """What people said, and what this one says."""
    st.subheader("What was it?")
    for said in incident["feedback"]:
        until = f" until {parts.moment(said['until'])}" if said["until"] else ""
        told = f"{said['author']}: {MEANINGS[said['verdict']]}{until}. {said['reason']}"
        parts.show(f"<p>{escaped(told)}</p>")
    if not me().may("judge"):
        parts.note("An analyst may say whether it was real.")
        return
    subject = {"incident_id": incident["incident_id"]}
    with st.container(horizontal=True):
        if st.button("It was real", icon=":material/check:"):
            _give(subject, "true", "confirmed on the page of the incident")
        if st.button("False alarm", icon=":material/notifications_off:"):
            _mute(subject, "false")
        if st.button("Expected until…", icon=":material/event:"):
            _mute(subject, "expected")
    if incident["state"] in ("open", "ongoing"):
        with st.popover("Resolve"), st.form("resolve", border=False):
            reason = st.text_input("What was done", max_chars=2000)
            if st.form_submit_button("It is over", type="primary") and reason:
                api().post(
                    path("incidents", incident["incident_id"], "resolve"), {"reason": reason}
                )
                parts.tell(
                    "The incident is resolved: what is alike and comes later is another one."
                )
                st.rerun()


@st.dialog("Do not tell of this kind")
def _mute(subject: dict[str, str], verdict: str) -> None:
    """Asks for the reason, beside what a mute would have hidden."""
    try:
        hidden = api().post("/v1/feedback/preview", subject)
    except ApiError as error:
        parts.problem(error)
        return
    st.write(f"This would have hidden {label(hidden['told'])}.")
    parts.note("What is muted is still recorded and counted.")
    until = None
    if verdict == "expected":
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(
            minute=0, second=0, microsecond=0
        )
        until = st.datetime_input("Expected until (UTC)", value=tomorrow.replace(tzinfo=None))
    reason = st.text_input("Why", max_chars=2000, placeholder="a test of the backup")
    if st.button("Mute this kind", type="primary"):
        if not reason.strip():
            st.warning("Say why: others read it later.")
            return
        _give(subject, verdict, reason, until)


def _give(
    subject: dict[str, str], verdict: str, reason: str, until: datetime | None = None
) -> None:
    body = {**subject, "verdict": verdict, "reason": reason}
    if until is not None:
        body["until"] = until.replace(tzinfo=UTC).isoformat()
    api().post("/v1/feedback", body)
    parts.tell(f"Noted: {MEANINGS[verdict]}.")
    st.rerun()
