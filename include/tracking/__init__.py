"""MLflow: runs, registered models and their aliases. Nothing else imports it.

Where do I go to…
- see what a run records? `runs.py`, and for its pictures `plots.py`.
- load the model that scores tonight? `champion`; one by another alias? `registered`.
- see how an alias moves? `promote`, `move_back`, `roll_back`.
- change how MLflow itself sees a model? `pyfunc_model.py`, which is stored with each model.

The aliases of a source's registered model: `champion` judges its nights, `previous` did so before,
and `challenger` is the newest version that is neither.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from include.settings import Settings
from ml.model import Model

__all__ = ["MlflowClient", "MlflowException"]

# Bars fill logs and terminals, and how `pyfunc_model.py` is written is said there.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")

MS_PER_S = 1000
CHAMPION = "champion"
PREVIOUS = "previous"
CHALLENGER = "challenger"
LOADING = Lock()


class NoSuchVersion(LookupError):
    """A version that a source's model does not have; the message names those that there are."""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A version of a source's model. `name` is the registry's name for the source."""

    name: str
    version: str
    model: Model


@dataclass(frozen=True, slots=True)
class VersionDetails:
    """A version of a source's model, and what its run says. figures: on the held-out period, with
    the `threshold`."""

    version: str
    run_id: str
    registered_at: datetime
    parameters: Mapping[str, str]
    figures: Mapping[str, float]
    url: str


@dataclass(frozen=True, slots=True)
class Aliases:
    """The versions that the aliases of a source's model point at."""

    champion: str | None
    previous: str | None
    challenger: str | None


def connect(settings: Settings) -> MlflowClient:
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    return MlflowClient(settings.mlflow_tracking_uri)


def answer_soon() -> None:
    """For a process whose callers wait: say soon where MLflow is away. Tasks wait for minutes."""
    os.environ.update(MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", MLFLOW_HTTP_REQUEST_TIMEOUT="10")


def model_name(source: str) -> str:
    return f"loganalyzer-{source}"


def register(client: MlflowClient, source: str, run_id: str) -> str:
    """The version of a finished run's model, registered now if it is not yet.

    One that is not the champion becomes the challenger. Raises RuntimeError where the run is not
    finished or holds no model: the registry has whole models only.
    """
    name = model_name(source)
    version = _version_of(client, name, run_id)
    if version != _aliased(client, name, CHAMPION):
        _point(client, name, CHALLENGER, version)
    return version


def aliases(client: MlflowClient, source: str) -> Aliases:
    name = model_name(source)
    return Aliases(*(_aliased(client, name, each) for each in (CHAMPION, PREVIOUS, CHALLENGER)))


def all_aliases(client: MlflowClient) -> dict[str, Aliases]:
    """The same of every source that has a model, asked for at once."""
    prefix, found = model_name(""), {}
    token: str | None = None
    while True:
        page = client.search_registered_models(max_results=500, page_token=token)
        for model in page:
            points = {name: str(version) for name, version in model.aliases.items()}
            if model.name.startswith(prefix):
                found[model.name.removeprefix(prefix)] = Aliases(
                    *(points.get(each) for each in (CHAMPION, PREVIOUS, CHALLENGER))
                )
        token = page.token
        if not token:
            return found


def promote(client: MlflowClient, source: str, version: str, reason: str) -> None:
    """Make a version the champion of its source; the former one keeps the alias `previous`."""
    name, now = model_name(source), aliases(client, source)
    if now.champion == version:
        return
    client.set_model_version_tag(name, version, "promoted_because", reason)
    # In this order: at no moment does the alias of the champion point at nothing.
    _point(client, name, PREVIOUS, now.champion)
    _point(client, name, CHAMPION, version)
    if now.challenger == version:
        _point(client, name, CHALLENGER, None)


def move_back(client: MlflowClient, source: str, before: Aliases) -> None:
    """Point the aliases where they pointed before."""
    name = model_name(source)
    for alias in (CHAMPION, PREVIOUS, CHALLENGER):
        _point(client, name, alias, getattr(before, alias))


def roll_back(client: MlflowClient, source: str, version: str) -> None:
    """Make a former champion the champion again, and the present one the previous; done again, it
    changes nothing."""
    name, now = model_name(source), aliases(client, source)
    if now.champion != version:
        _point(client, name, PREVIOUS, now.champion)
        _point(client, name, CHAMPION, version)


def champion(client: MlflowClient, source: str) -> RegisteredModel | None:
    """The model that judges a source's nights, or None before the first promotion."""
    return registered(client, source, CHAMPION)


def champion_at_hand(client: MlflowClient, source: str) -> RegisteredModel | None:
    """The same, for a process that asks often: a version is loaded once."""
    name = model_name(source)
    version = _aliased(client, name, CHAMPION)
    with LOADING:  # not by each of those who ask at once
        return None if version is None else _kept(client.tracking_uri, name, version)


@lru_cache(maxsize=16)
def _kept(tracking_uri: str, name: str, version: str) -> RegisteredModel:
    return _loaded(name, version)


def registered(client: MlflowClient, source: str, alias: str) -> RegisteredModel | None:
    """The model that an alias points at, or None where it points at none."""
    name = model_name(source)
    version = _aliased(client, name, alias)
    return None if version is None else _loaded(name, version)


def of_version(client: MlflowClient, source: str, version: str) -> RegisteredModel:
    """A version of a source's model. Raises NoSuchVersion, which names those that there are."""
    name = model_name(source)
    known = [str(each.version) for each in client.search_model_versions(f"name = '{name}'")]
    if version not in known:
        there = ", ".join(sorted(known, key=int)) or "none"
        raise NoSuchVersion(f"{source} has no model version {version}; there are: {there}")
    return _loaded(name, version)


def details_of(client: MlflowClient, source: str, version: str) -> VersionDetails:
    """What is known of a version. Raises NoSuchVersion."""
    return _details(client.tracking_uri, source, version)


# What a finished run has recorded does not change.
@lru_cache(maxsize=256)
def _details(tracking_uri: str, source: str, version: str) -> VersionDetails:
    client = MlflowClient(tracking_uri)
    try:
        found = client.get_model_version(model_name(source), version)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise NoSuchVersion(f"{source} has no model version {version}") from error
    run_id = str(found.run_id)
    run = client.get_run(run_id)
    return VersionDetails(
        version=version,
        run_id=run_id,
        registered_at=datetime.fromtimestamp(found.creation_timestamp / MS_PER_S, UTC),
        parameters=run.data.params,
        figures=run.data.metrics,
        url=f"{tracking_uri}/#/experiments/{run.info.experiment_id}/runs/{run_id}",
    )


def smoke_test(source: str) -> None:
    """Load a source's champion as MLflow would for anybody, and let it score its input example.

    Raises whatever that raises, and ValueError where a score is no number.
    """
    model = mlflow.pyfunc.load_model(f"models:/{model_name(source)}@{CHAMPION}")
    scores = model.predict(model.input_example)["score"]
    if not np.isfinite(scores).all():
        raise ValueError(f"its input example scores {scores.tolist()}")


def parameters_of(client: MlflowClient, source: str, version: str) -> dict[str, str]:
    """What a version's run says of its family, its settings and the data that it has learnt."""
    found: dict[str, str] = client.get_run(run_of(client, source, version)).data.params
    return found


def registered_at(client: MlflowClient, source: str, version: str) -> datetime:
    """When a version was registered, in UTC."""
    created_ms: int = client.get_model_version(model_name(source), version).creation_timestamp
    return datetime.fromtimestamp(created_ms / MS_PER_S, UTC)


def run_of(client: MlflowClient, source: str, version: str) -> str:
    """The run that a version's model comes from."""
    return str(client.get_model_version(model_name(source), version).run_id)


def _loaded(name: str, version: str) -> RegisteredModel:
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{name}/{version}", dst_path=folder
        )
        return RegisteredModel(name, version, Model.load(Path(path) / "artifacts" / "model"))


def _version_of(client: MlflowClient, name: str, run_id: str) -> str:
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name)
    known = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if known:
        return str(known[0].version)
    run = client.get_run(run_id)
    if run.info.status != "FINISHED" or run.outputs is None or not run.outputs.model_outputs:
        raise RuntimeError(f"MLflow run {run_id} holds no whole model: train again")
    # A task that was killed may have left a half model before the whole one.
    logged = run.outputs.model_outputs[-1].model_id
    return str(
        client.create_model_version(
            name, source=f"models:/{logged}", run_id=run_id, model_id=logged
        ).version
    )


def _point(client: MlflowClient, name: str, alias: str, version: str | None) -> None:
    if version is not None:
        client.set_registered_model_alias(name, alias, version)
    elif _aliased(client, name, alias) is not None:
        client.delete_registered_model_alias(name, alias)


def _aliased(client: MlflowClient, name: str, alias: str) -> str | None:
    try:
        return str(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
