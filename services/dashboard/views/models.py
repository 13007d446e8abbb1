"""Models: who judges, what the gate said of each challenger, and a retrain with Airflow's form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import streamlit as st

from services.dashboard import charts, forms, parts
from services.dashboard.client import ApiError, path
from services.dashboard.parts import Column, code, state
from services.dashboard.session import api, me
from services.dashboard.text import escaped, label

DAG = "train_detectors"
RUNS, VERDICTS = 8, 20
PROMISES = timedelta(days=60)
MEASURE = "alert_budget"
MOST_ROWS = 500
ROLES = ("champion", "challenger", "previous")


def show() -> None:
    st.title("Models")
    models = {each["source"]: each for each in api().get("/v1/models")["items"]}
    if not models:
        parts.empty("There are no sources.", "Add one from a sample of its log.")
        return
    source = parts.source_choice(list(models))
    if source is None:
        return
    known = models[source]
    _versions(known)
    judged, trained = st.tabs(
        ["Gate and evaluation", "Retrain"], key="tab", on_change="rerun", bind="query-params"
    )
    if judged.open:
        with judged:
            _judged(known)
    if trained.open:
        with trained:
            _runs()
            if me().may("run"):
                _retrain(list(models))
            else:
                parts.note("An analyst may start a retrain.")


def _versions(known: dict[str, Any]) -> None:
    there = [role for role in ROLES if known[role]]
    if not there:
        parts.empty("No model has been trained yet: novelty judges.", "Start a retrain below.")
        return
    for column, role in zip(st.columns(len(there)), there, strict=True):
        model = known[role]
        with column.container(border=True, height="stretch"):
            parts.show(f"<p>{state(role)}</p><h2>Version {escaped(model['version'])}</h2>")
            parts.facts(
                model["family"],
                f"learnt from {parts.day(model['learnt_from'])} until "
                f"{parts.moment(model['learnt_until'])}",
                f"registered {parts.moment(model['registered_at'])}",
            )
            st.link_button("In MLflow", model["mlflow_url"], icon=":material/open_in_new:")


def _judged(known: dict[str, Any]) -> None:
    source = known["source"]
    promotions = api().get(path("models", source, "promotions"), limit=VERDICTS)["items"]
    st.subheader("What the gate said")
    if not promotions:
        parts.empty("The gate has judged nothing yet.", "It does so at the end of each retrain.")
    for number, promotion in enumerate(promotions):
        _verdict(promotion, is_open=number == 0)
    versions = list(dict.fromkeys(known[role]["version"] for role in ROLES if known[role]))
    if versions:
        _promises(source)
        _evaluation(source, versions)


def _promises(source: str) -> None:
    st.subheader("Alerts promised and kept")
    since = datetime.now(UTC) - PROMISES
    asked = {"source": source, "from": since.isoformat(), "limit": MOST_ROWS}
    told = api().get("/v1/monitoring", **asked)["items"]
    days = [each for each in told if each["measure"] == MEASURE and each["value"] is not None]
    if not days:
        parts.empty("Nothing has been measured yet.", "monitor_sources does so every night.")
        return
    last = max(days, key=lambda each: each["day"])
    parts.note(
        "The threshold's promise is the dashed line; above the steps people are told. "
        f"{last['day']}: {last['reason']}"
    )
    charts.promises(days, f"alerts kept for each promised, of {len(days)} days")


def _verdict(promotion: dict[str, Any], is_open: bool) -> None:
    version, outcome = promotion["version"], promotion["outcome"].replace("_", " ")
    title = f"Version {version}, {promotion['family']}: {outcome}, "
    with st.expander(label(title + parts.moment(promotion["decided_at"])), is_open):
        parts.show(f"<p>{escaped(promotion['reason'])}</p>")
        parts.facts(
            f"policy {promotion['policy']}",
            f"decided by {promotion['decided_by']}",
            f"note: {promotion['note']}" if promotion["note"] else "",
        )
        if promotion["checks"]:
            parts.table(
                f"Checks of version {version}",
                ["", "Check", "Wanted", "Challenger", "Champion"],
                [
                    (
                        "✓ passed" if check["passed"] else "✗ failed",
                        check["name"],
                        check["wanted"],
                        check["challenger"],
                        check["champion"],
                    )
                    for check in promotion["checks"]
                ],
            )


def _evaluation(source: str, versions: list[str]) -> None:
    st.subheader("How a version did on logs that it has not learnt")
    version = st.selectbox("Version", versions, key="version", bind="query-params", width=160)
    found = api().get(path("models", source, version, "evaluation"))
    curves = found["curves"]
    if curves is None:
        parts.empty("This version was trained without curves.", "MLflow has its pictures.")
    else:
        _curves(curves)
    with st.expander("Figures and settings"):
        left, right = st.columns(2)
        with left:
            parts.table(
                "Figures", ["Figure", Column("Value", True)], sorted(found["figures"].items())
            )
        with right:
            parts.table(
                "Settings",
                ["Setting", "Value"],
                [(name, code(value)) for name, value in sorted(found["parameters"].items())],
            )


def _curves(curves: dict[str, Any]) -> None:
    left, right = st.columns(2)
    with left:
        parts.note("Windows by score; the dashed line is the threshold")
        bins = list(pairwise(curves["edges"]))
        rows = [
            {"score": low, "score_end": high, "windows": windows, "truth": truth}
            for truth in ("normal", "anomalous")
            for (low, high), windows in zip(bins, curves[truth], strict=True)
            if windows
        ]
        charts.histogram(rows, curves["threshold"], "windows by score, normal and anomalous")
    with right:
        parts.note("Precision against recall")
        if not curves["recall"]:
            parts.empty("No window of this part is anomalous.", "Labels and feedback would tell.")
        else:
            points = zip(curves["recall"], curves["precision"], strict=True)
            rows = [{"recall": recall, "precision": precision} for recall, precision in points]
            charts.curve(rows, "recall", "precision", "precision against recall")


def _runs() -> None:
    st.subheader("Runs")
    try:
        runs = api().get("/v1/runs", dag_id=DAG, limit=RUNS)["items"]
    except ApiError as error:  # Airflow may be away, and the rest of the page is not
        parts.problem(error)
        return
    if not runs:
        parts.empty("There was no run yet.", "Start one below.")
    for run in runs:
        with st.container(horizontal=True, vertical_alignment="center"):
            parts.link("run", run["run_id"], dag=run["dag_id"], run=run["run_id"])
            parts.facts(state(run["state"]), parts.moment(run["run_after"]), run["note"] or "")


def _retrain(sources: list[str]) -> None:
    st.subheader("Start a retrain")
    try:
        form = api().get(f"/v1/runs/{DAG}/form")
    except ApiError as error:
        parts.problem(error)
        return
    with st.form("retrain"):
        conf = forms.fields(form["params"], sources)
        is_asked = st.form_submit_button("Start", type="primary")
    if is_asked:
        started = api().post("/v1/runs/retrain", {"conf": conf})
        where = {"dag": started["dag_id"], "run": started["run_id"]}
        st.switch_page(st.session_state["pages"]["run"], query_params=where)
