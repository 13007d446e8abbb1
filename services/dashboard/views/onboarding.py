"""Add a source: from a sample of its log to the file that describes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from services.dashboard import parts
from services.dashboard.client import ApiError
from services.dashboard.parts import Column, code
from services.dashboard.session import api
from services.dashboard.text import escaped

MOST_MB = 5


def show() -> None:
    st.title("Add a source")
    st.write(
        "Upload a sample of a log: you see at once how it would be read, and take the file that "
        "describes the source. Nothing is kept."
    )
    uploaded = st.file_uploader(f"A sample, up to {MOST_MB} MB", max_upload_size=MOST_MB)
    if uploaded is None:
        parts.empty("No sample yet.", "A few hundred lines of an ordinary hour are enough.")
        return
    with st.spinner("Reading"):
        sample = _read(uploaded.name, uploaded.getvalue(), uploaded.file_id)
    if sample is None:
        return
    _format(sample)
    _file(sample)
    _events(sample)
    _templates(sample)
    parts.quarantined(sample["quarantined"])


def _read(name: str, content: bytes, file_id: str) -> dict[str, Any] | None:
    """What the source makes of the sample: the one proposed, or as somebody has changed it."""
    if st.session_state.get("sample_id") != file_id:
        st.session_state["sample_id"] = file_id
        st.session_state.pop("source_file", None)
    try:
        sample: dict[str, Any] = api().upload(
            "/v1/samples", name, content, source=st.session_state.get("source_file")
        )
    except ApiError as error:
        parts.problem(error)
        if "source_file" in st.session_state:
            _edit()
        return None
    st.session_state.setdefault("source_file", sample["source"])
    return sample


def _format(sample: dict[str, Any]) -> None:
    st.subheader("How it reads")
    parts.facts(
        f"format: {sample['format']}",
        f"{sample['share_parsed']:.1%} of the lines are read",
        f"{sample['lines']:,} lines",
        f"{sample['events']:,} events",
        f"{sample['templates']:,} templates",
        f"{sample['lines_quarantined']:,} lines did not parse",
    )
    windows = ", ".join(f"{name} {value}" for name, value in sample["windowing"].items())
    parts.show(f"<p>Windows: {escaped(windows)}</p><p>{escaped(sample['multi_line'])}</p>")


def _edit() -> None:
    st.text_area(
        "The file of the source: change it, and what it makes of the sample is shown anew",
        key="source_file",
        height=260,
    )


def _file(sample: dict[str, Any]) -> None:
    st.subheader("The file of the source")
    _edit()
    name = sample["name"]
    st.download_button(
        "Download the file",
        st.session_state["source_file"],
        f"{name}.yaml",
        "application/yaml",
        type="primary",
        on_click="ignore",
    )
    st.markdown(
        "Put it into a folder of `LOGANALYZER_SOURCES_PATH`. Objects whose keys start with "
        f"`{name}/` in the bucket of logs, or with the `prefix` of the file, are read from the "
        "next hour on."
    )


def _events(sample: dict[str, Any]) -> None:
    st.subheader("First events")
    parts.table(
        "First events",
        [Column("Line", True), "Time (UTC)", "Level", "Component", "Session", "Message"],
        [
            (
                each["line_number"],
                f"{datetime.fromisoformat(each['event_time']):%Y-%m-%d %H:%M:%S}",
                each["severity"],
                each["component"],
                each["session_key"],
                code(each["message"]),
            )
            for each in sample["first_events"]
        ],
    )


def _templates(sample: dict[str, Any]) -> None:
    st.subheader("Templates")
    parts.table(
        "Templates",
        [Column("Events", True), "Template", "Example"],
        [
            (each["count"], code(each["text"]), code(each["example"]))
            for each in sample["most_frequent"][:100]
        ],
    )
