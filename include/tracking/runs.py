"""What training records in MLflow: a run for each family, and one below it for each trial.

A run is named by its inputs, so that a task that runs again finds the run it left behind and goes
on with it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import polars as pl
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param, Run
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID

from include.settings import PROJECT_ROOT
from ml.model import Model
from ml.windows import Windows

INPUTS_TAG = "loganalyzer.inputs"
FINISHED = "FINISHED"
EXAMPLE_WINDOWS = 3
CURVES = "curves.json"


def find_run(client: MlflowClient, source: str, inputs: str) -> Run | None:
    """The run of exactly these inputs, finished or not, if there is one."""
    experiment = client.get_experiment_by_name(_experiment(source))
    if experiment is None:
        return None
    runs = client.search_runs(
        [experiment.experiment_id], f"tags.`{INPUTS_TAG}` = '{inputs}'", max_results=1
    )
    return runs[0] if runs else None


def start_run(
    client: MlflowClient,
    source: str,
    name: str,
    inputs: str,
    tags: Mapping[str, str],
    parent: str | None = None,
) -> str:
    """The id of the run for these inputs: a new one, or the one that is there."""
    found = find_run(client, source, inputs)
    if found is not None:
        return str(found.info.run_id)
    experiment = mlflow.set_experiment(_experiment(source))
    family = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
    run = client.create_run(
        experiment.experiment_id,
        run_name=name,
        tags={INPUTS_TAG: inputs, "loganalyzer.source": source, **_code(), **tags, **family},
    )
    return str(run.info.run_id)


@contextmanager
def resumed(run_id: str) -> Iterator[Run]:
    """The run, open; finished when the block ends well, else failed."""
    with mlflow.start_run(run_id=run_id) as run:
        yield run


def log_trial(
    client: MlflowClient,
    run_id: str,
    parameters: Mapping[str, Any],
    values: Sequence[float],
    state: str,
) -> None:
    """A trial's parameters and its figure on each fold; done again, it changes nothing."""
    now = int(time.time() * 1000)
    metrics = [Metric("figure", value, now, fold) for fold, value in enumerate(values)]
    if values:
        metrics.append(Metric("objective", sum(values) / len(values), now, 0))
    params = [Param(name, str(value)) for name, value in parameters.items()]
    client.log_batch(run_id, metrics=metrics, params=params)
    client.set_tag(run_id, "loganalyzer.trial", state)
    client.set_terminated(run_id, FINISHED)


def log_dataset(name: str, digest: str, address: str, about: Mapping[str, Any]) -> None:
    """The data that the open run learns from, with all that names it as an artifact."""
    source = resolve_dataset_source(address)
    dataset = MetaDataset(source, name=name, digest=digest)  # type: ignore[abstract]
    mlflow.log_input(dataset, context="training")
    mlflow.log_dict(dict(about), "dataset.json")


def log_model(model: Model, example: Windows) -> None:
    """The model, into the run that is open: one folder that loads wherever `ml` is installed."""
    events = example.events.select(
        "template_id",
        pl.col("severity").fill_null(""),
        text=pl.col("template_id").replace(example.texts),
        window_id=example.spans["window_id"].gather(example.rows_of_events),
    )
    table = pd.DataFrame(events.to_dict(as_series=False))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"model": str(Path(folder) / "model")},
            input_example=table,
            # `ml` is installed wherever models are loaded; the pins are requirements.txt's.
            pip_requirements=[],
        )


def log_figures(
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    pictures: Mapping[str, Figure],
    curves: Mapping[str, Any],
) -> None:
    """Parameters, metrics, pictures with the points of their curves, and the environment, into the
    run that is open."""
    mlflow.log_params({name: str(value) for name, value in parameters.items()})
    mlflow.log_metrics(dict(metrics))
    for name, figure in pictures.items():
        mlflow.log_figure(figure, f"{name}.png")
    mlflow.log_dict(dict(curves), CURVES)
    mlflow.log_text(_environment(), "environment.txt")


def curves_of(client: MlflowClient, run_id: str) -> dict[str, Any] | None:
    """The points of a run's curves, see `plots.curves`; None for a run that has logged none."""
    if all(each.path != CURVES for each in client.list_artifacts(run_id)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(run_id, CURVES, folder)
        found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


def log_verdict(client: MlflowClient, run_id: str, sentence: str, table: str) -> None:
    client.log_text(run_id, f"{sentence}\n\n{table}\n", "verdict.md")
    client.set_tag(run_id, "loganalyzer.verdict", sentence)


def run_url(client: MlflowClient, run_id: str) -> str:
    """Where a browser shows the run."""
    experiment = client.get_run(run_id).info.experiment_id
    return f"{client.tracking_uri}/#/experiments/{experiment}/runs/{run_id}"


def _experiment(source: str) -> str:
    return f"loganalyzer/{source}"


@lru_cache(maxsize=1)
def _code() -> dict[str, str]:
    """Which code ran: the commit, where it is a clone."""
    tags = {"loganalyzer.version": version("loganalyzer")}
    commit = get_git_commit(str(PROJECT_ROOT))
    return {**tags, MLFLOW_GIT_COMMIT: commit} if commit else tags


def _environment() -> str:
    packages = sorted({f"{each.name}=={each.version}" for each in distributions()}, key=str.lower)
    return "\n".join([f"# Python {sys.version.split()[0]}", *packages]) + "\n"
