"""A family, with the parameters that tuning found, trained and measured on the held-out period."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from include import plots, tracking
from include.tracking import runs
from include.training import data, studies
from include.training.data import Dataset
from include.training.jobs import Fitted, Request, Study
from include.workspace import Workspace
from ml.model import Model
from ml.tuning import Exam
from ml.windows import Windows

SHOWN_TEMPLATES = 20
TRAINED = "loganalyzer.trained"


def fit(workspace: Workspace, study: Study) -> Fitted:
    """Train a family with its best parameters on what comes before the held-out part, measure it
    on that part, and record it as the family's run in MLflow. Done again, it finds what is there.
    """
    prepared, family = study["prepared"], study["family"]
    request = prepared["request"]
    settings, objective = studies.best_settings(workspace, study)
    client = tracking.connect(workspace.settings)
    run_id = study["mlflow_run_id"]
    trained = client.get_run(run_id)
    inputs = _inputs(settings)
    if not (trained.info.status == runs.FINISHED and trained.data.tags.get(TRAINED) == inputs):
        if trained.info.status == runs.FINISHED:
            # More trials have found better settings since.
            run_id = runs.start_run(
                client,
                request["source"],
                family,
                f"{study['name']}/{inputs}",
                {"loganalyzer.family": family, "loganalyzer.dag_run": request["dag_run_id"]},
            )
        _train(workspace, study, run_id, settings, objective)
        client.set_tag(run_id, TRAINED, inputs)
    return Fitted(
        source=request["source"],
        family=family,
        mlflow_run_id=run_id,
        # Where no trial has come to an end, nothing speaks for it.
        objective=0.0 if objective is None else objective,
        mlflow_url=runs.run_url(client, run_id),
    )


def _trained(
    dataset: Dataset, exam: Exam, family: str, settings: Mapping[str, Any], request: Request
) -> Model:
    """A model of what an exam lets it learn, with the threshold of the budget where there is one,
    and told what it has learnt."""
    model = exam.trained(family, settings, request["seed"], request["alerts_per_day"])
    about = {
        name: str(dataset.about[name])
        for name in ("source", "period_start", "held_out_from", "catalogue_version", "fingerprint")
    }
    return replace(model, about=about)


def _train(
    workspace: Workspace,
    study: Study,
    run_id: str,
    settings: Mapping[str, Any],
    objective: float | None,
) -> None:
    prepared, family = study["prepared"], study["family"]
    request = prepared["request"]
    dataset = data.read(workspace, prepared)
    exam = dataset.exam(request)
    model = _trained(dataset, exam, family, settings, request)
    scores = model.score(exam.trial.test)
    metrics = exam.metrics(scores, model.threshold)
    if objective is not None:
        metrics["objective"] = objective
    cut = datetime.fromisoformat(prepared["cut"])
    title = f"{request['source']}, {family}, held out from {cut:%Y-%m-%d %H:%M} UTC"
    pictures = {
        "scores": plots.scores_and_precision(
            title, scores, model.threshold, exam.trial.is_anomalous
        ),
        "templates": _templates(exam.trial.learnt, title),
        "study": plots.study_history(studies.values_of(workspace, study), title),
    }
    curves = plots.curves(scores, model.threshold, exam.trial.is_anomalous)
    curves["trials"] = studies.values_of(workspace, study)
    parameters = {**_parameters(dataset), "family": family, "measure": exam.measure.name}
    parameters |= {f"tuned.{name}": value for name, value in settings.items()}
    with runs.resumed(run_id):
        place = data.address(workspace, request["source"], prepared["fingerprint"])
        runs.log_dataset(request["source"], prepared["fingerprint"], place, dataset.about)
        runs.log_figures(parameters, metrics, pictures, curves)
        runs.log_model(model, _example(exam.trial.learnt))


def _parameters(dataset: Dataset) -> dict[str, Any]:
    """What the data was, as far as it fits into a line."""
    return {name: value for name, value in dataset.about.items() if name != "objects"}


def _templates(windows: Windows, title: str) -> Figure:
    top = windows.events["template_id"].value_counts(sort=True).head(SHOWN_TEMPLATES)
    names = [windows.texts.get(template, template) for template in top["template_id"]]
    return plots.top_templates(names, top["count"].to_list(), title)


def _example(windows: Windows) -> Windows:
    return windows.take(np.arange(min(runs.EXAMPLE_WINDOWS, len(windows))))


def _inputs(settings: Mapping[str, Any]) -> str:
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
