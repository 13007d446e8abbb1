"""MLflow: runs, registered models and their aliases. Nothing else imports it.

Where do I go to…
- see what a run records? `log_candidate`.
- load the model that scores tonight? `champion`; one by another alias? `registered`.
- change how MLflow itself sees a model? `pyfunc_model.py`, which is stored with each model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import polars as pl
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from include.settings import Settings
from ml.model import Model
from ml.windows import Windows

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
# The run that a set of inputs belongs to: a task that runs again finds it and goes on with it.
INPUTS_TAG = "loganalyzer.inputs"
FINISHED = "FINISHED"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A version of a source's model. `name` is the registry's name for the source."""

    name: str
    version: str
    model: Model


def connect(settings: Settings) -> MlflowClient:
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    return MlflowClient(settings.mlflow_tracking_uri)


def model_name(source: str) -> str:
    return f"loganalyzer-{source}"


def find_run(client: MlflowClient, source: str, inputs: str) -> Run | None:
    """The finished run of exactly these inputs, if there is one."""
    run = _run_of(client, source, inputs)
    return run if run is not None and run.info.status == FINISHED else None


@contextmanager
def candidate_run(client: MlflowClient, source: str, family: str, inputs: str) -> Iterator[Run]:
    """A run for these inputs: a new one, or the one that an interrupted task left behind."""
    experiment = mlflow.set_experiment(f"loganalyzer/{source}")
    left = _run_of(client, source, inputs)
    with mlflow.start_run(
        run_id=left.info.run_id if left else None,
        experiment_id=experiment.experiment_id,
        run_name=None if left else family,
        tags={INPUTS_TAG: inputs, "loganalyzer.source": source, "loganalyzer.family": family},
    ) as run:
        yield run


def log_candidate(
    model: Model, example: Windows, parameters: dict[str, str], metrics: dict[str, float]
) -> None:
    """Parameters, metrics and the model itself, into the run that is open."""
    mlflow.log_params(parameters)
    mlflow.log_metrics(metrics)
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


def promote(client: MlflowClient, source: str, run_id: str, reason: str) -> str:
    """Make a run's model the champion of its source and return its version.

    The version is created once per run. The former champion keeps the alias `previous`.
    """
    name = model_name(source)
    version = _version_of(client, name, run_id)
    former = _aliased(client, name, CHAMPION)
    if former != version:
        if former is not None:
            client.set_registered_model_alias(name, PREVIOUS, former)
        client.set_model_version_tag(name, version, "promoted_because", reason)
        client.set_registered_model_alias(name, CHAMPION, version)
    return version


def champion(client: MlflowClient, source: str) -> RegisteredModel | None:
    """The model that judges a source's nights, or None before the first training."""
    return registered(client, source, CHAMPION)


def registered(client: MlflowClient, source: str, alias: str) -> RegisteredModel | None:
    """The version of a source's model that has an alias, or None where none has."""
    name = model_name(source)
    version = _aliased(client, name, alias)
    if version is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{name}/{version}", dst_path=folder
        )
        return RegisteredModel(name, version, Model.load(Path(path) / "artifacts" / "model"))


def champion_run_id(client: MlflowClient, source: str) -> str | None:
    name = model_name(source)
    version = _aliased(client, name, CHAMPION)
    return None if version is None else client.get_model_version(name, version).run_id


def _run_of(client: MlflowClient, source: str, inputs: str) -> Run | None:
    experiment = client.get_experiment_by_name(f"loganalyzer/{source}")
    if experiment is None:
        return None
    runs = client.search_runs(
        [experiment.experiment_id], f"tags.`{INPUTS_TAG}` = '{inputs}'", max_results=1
    )
    return runs[0] if runs else None


def _version_of(client: MlflowClient, name: str, run_id: str) -> str:
    """The registered version of a run's model, registered now if it is not yet."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name)
    known = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if known:
        return str(known[0].version)
    outputs = client.get_run(run_id).outputs
    if outputs is None or not outputs.model_outputs:
        raise RuntimeError(f"MLflow run {run_id} holds no model: train again")
    # A task that was killed may have left a half model before the whole one.
    logged = outputs.model_outputs[-1].model_id
    return str(
        client.create_model_version(
            name, source=f"models:/{logged}", run_id=run_id, model_id=logged
        ).version
    )


def _aliased(client: MlflowClient, name: str, alias: str) -> str | None:
    try:
        return str(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
