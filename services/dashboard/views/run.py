"""Run: a run of a DAG while it goes, and the question it asks."""

from __future__ import annotations

from typing import Any

import streamlit as st

from services.dashboard import parts
from services.dashboard.client import ApiError, path
from services.dashboard.parts import Column, code, state
from services.dashboard.session import api, me
from services.dashboard.text import escaped, label

EVERY_S = 3.0
ENDED = {"success", "failed"}


def show() -> None:
    dag_id, run_id = st.query_params.get("dag"), st.query_params.get("run")
    if not (dag_id and run_id):
        parts.empty("No run is chosen.", "Choose one on the page Models.")
        parts.link("models", "Models")
        return
    parts.heading(f"Run of {dag_id}")
    _followed(path("runs", dag_id, run_id))


@st.fragment(run_every=EVERY_S)
def _followed(place: str) -> None:
    """Shown anew every few seconds, until the run has ended."""
    if st.session_state.get("ended") == place:
        told = st.session_state["ended_as"]
    else:
        try:
            told = api().get(place)
        except ApiError as error:
            parts.problem(error)
            return
        if told["state"] in ENDED:
            st.session_state["ended"], st.session_state["ended_as"] = place, told
    _state(told)
    for question in told["waits_for"]:
        _question(place, question)


def _state(told: dict[str, Any]) -> None:
    parts.facts(
        state(told["state"]),
        told["run_id"],
        f"started {parts.moment(told['started_at'])}",
        f"ended {parts.moment(told['ended_at'])}" if told["ended_at"] else "",
        told["note"] or "",
    )
    if told["failed_tasks"]:
        st.error("Failed: " + label(", ".join(told["failed_tasks"])))
    parts.table(
        "Tasks",
        ["Tasks that are", Column("How many", True)],
        sorted(told["tasks"].items()),
    )
    if told["conf"]:
        st.subheader("Asked for")
        parts.table(
            "Parameters", ["Parameter", "Value"], [(k, str(v)) for k, v in told["conf"].items()]
        )
    st.link_button("Its page in Airflow", told["url"], icon=":material/open_in_new:")


def _question(place: str, question: dict[str, Any]) -> None:
    with st.container(border=True):
        parts.show(f"<p><strong>{escaped(question['subject'])}</strong></p>")
        if question["body"]:
            parts.show(str(code(question["body"])))
        if not me().may("run"):
            parts.note("An analyst may answer.")
            return
        with st.container(horizontal=True):
            for option in question["options"]:
                key = f"{question['map_index']}{option}"
                if st.button(label(option), key=key):
                    _answer(place, {"map_index": question["map_index"], "option": option})


def _answer(place: str, body: dict[str, Any]) -> None:
    try:
        api().post(f"{place}/answer", body)
    except ApiError as error:
        parts.problem(error)
        return
    st.success("Answered.")
