"""Try it: a log pasted or uploaded, judged now. Nothing of it is kept."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.dashboard import findings, parts
from services.dashboard.parts import Column, code
from services.dashboard.session import api
from services.dashboard.text import escaped

FIND_OUT = "Find out how it reads"
SHOWN = 10
EXAMPLE = """\
2026-11-20 02:14:07,120 INFO store.Api: req=9f31c2aa PUT bucket/7f.bin 18 kB
2026-11-20 02:14:07,480 ERROR store.Disk: req=9f31c2aa checksum of block 41 differs
"""


def show() -> None:
    st.title("Try it")
    st.write("Paste or upload lines of a log: templates and anomalies at once. Nothing is kept.")
    sources = [each["source"] for each in api().get("/v1/sources")["items"] if each["has_file"]]
    with st.form("try", border=False):
        pasted = st.text_area("Lines", height=180, placeholder=EXAMPLE)
        left, right = st.columns(2)
        uploaded = left.file_uploader("Or a file, up to 5 MB", max_upload_size=5)
        judge = right.selectbox(
            "Judged by",
            [FIND_OUT, *sources],
            help="The champion of a source, or without one the lines beside each other.",
        )
        asked = st.form_submit_button("Judge these lines", type="primary")
    if asked:
        lines = uploaded.getvalue() if uploaded else pasted.encode(errors="replace")
        if not lines.strip():
            st.warning("There are no lines yet: paste some, or choose a file.")
            return
        source = None if judge == FIND_OUT else judge
        with st.spinner("Judging"):
            st.session_state["judged"] = api().send("/v1/score", lines, source=source)
    if "judged" in st.session_state:
        _result(st.session_state["judged"])


def _result(judged: dict[str, Any]) -> None:
    by = judged["model"]
    model = f"version {by['version']}, {by['family']}" if by else "the lines beside each other"
    parts.facts(
        f"{judged['lines']:,} lines",
        f"{judged['events']:,} events",
        f"{judged['lines_quarantined']:,} did not parse",
        f"{judged['anomalies']:,} of {judged['windows']:,} windows are anomalous",
        f"judged by {model}",
    )
    st.subheader("Anomalies")
    if not judged["found"]:
        parts.empty("Nothing here is odd.", "More lines, or the champion of a source, tell more.")
    for each in judged["found"][:SHOWN]:
        _anomaly(each)
    if len(judged["found"]) > SHOWN:
        parts.note(f"The {SHOWN} oddest of {judged['anomalies']:,}.")
    st.subheader("Templates")
    parts.table(
        "Templates",
        [Column("Events", True), "", "Template", "Example"],
        [
            (
                each["count"],
                "new" if each["is_new"] else "known",
                code(each["text"]),
                code(each["example"]),
            )
            for each in judged["most_frequent"][:100]
        ],
    )
    parts.quarantined(judged["quarantined"])


def _anomaly(found: dict[str, Any]) -> None:
    with st.container(border=True):
        parts.facts(
            parts.severity(found["severity"]),
            parts.span(found["window_start"], found["window_end"]),
            f"session {found['session_key']}" if found["session_key"] else "",
            f"score {found['score']:.2f}",
        )
        parts.show(f"<p>{escaped(found['reason'])}</p>")
        findings.contributions(found["explanation"])
        findings.lines((e["line_number"], e["text"], True, ()) for e in found["lines"])
