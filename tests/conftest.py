"""What all tests share: the embedded stack in a folder of its own, and the real logs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from argon2 import PasswordHasher

from include import passwords, tracking
from include.ingest import pipeline
from include.settings import PROJECT_ROOT, get_settings
from include.training import candidates, data, gate, studies
from include.training.jobs import Judged, Request
from include.workspace import Workspace, open_workspace
from services.local import Stack

STORES = {"postgres", "gateway", "mlflow"}
# What a form says where nobody changes anything, but for the number of trials.
REQUEST = {
    "families": ["novelty"],
    "trials": 1,
    "deadline": "2100-01-01T00:00:00+00:00",
    "seed": 0,
    "alerts_per_day": None,
    "policy": "auto",
    "note": "",
    "dag_run_id": "by hand",
    "dag_run_url": "http://airflow/dags/train_detectors/runs/by hand",
}


def _use(running: Stack, patch: pytest.MonkeyPatch) -> None:
    """Point the settings of this process at a stack."""
    for name, value in running.environment().items():
        patch.setenv(name, value)
    get_settings.cache_clear()
    open_workspace.cache_clear()


@contextmanager
def temporary_stack() -> Iterator[Stack]:
    """A stack of its own, not yet started, gone afterwards.

    It does not stand in pytest's folder: each session of pytest closes that to other users, and
    Postgres runs as another one where we are root.
    """
    with tempfile.TemporaryDirectory(prefix="loganalyzer-") as folder:
        own = Stack(Path(folder) / "stack")
        try:
            yield own
        finally:
            own.down()


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """A stack that a test may break."""
    with temporary_stack() as own:
        yield own


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Postgres, the S3 gateway and MLflow, for all tests of the session."""
    with temporary_stack() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGANALYZER_SOURCES_PATH", str(running.folder / "sources"))
        running.up(only=STORES)
        _use(running, patch)
        yield running


@pytest.fixture(scope="module")
def airflow_stack() -> Iterator[Stack]:
    """The whole stack with Airflow's processes, for the tests of one module."""
    with temporary_stack() as running, pytest.MonkeyPatch.context() as patch:
        # Its sources are its own, whatever tests without Airflow have set before.
        patch.delenv("LOGANALYZER_SOURCES_PATH", raising=False)
        running.up()
        _use(running, patch)
        yield running
        open_workspace.cache_clear()
        get_settings.cache_clear()


@pytest.fixture
def workspace(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace without any sources yet: tests write theirs into `source_folder`."""
    monkeypatch.setenv("LOGANALYZER_SOURCES_PATH", str(tmp_path))
    get_settings.cache_clear()
    open_workspace.cache_clear()
    yield open_workspace()
    get_settings.cache_clear()
    open_workspace.cache_clear()


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords are hashed as always, but for the slowness."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64))
    passwords._of_nobody.cache_clear()
    yield
    passwords._of_nobody.cache_clear()


@pytest.fixture(scope="session")
def ingest() -> Callable[[Workspace, str], int]:
    """One run of the steps of the DAG `ingest_logs` on a source; the number of events published.

    What is staged stays.
    """

    def run(space: Workspace, source: str) -> int:
        staged = [
            pipeline.stage_batch(space, **batch)
            for batch in pipeline.discover_batches(space, source)
        ]
        set_aside = pipeline.validate_batches(space, staged)
        learnt = pipeline.learn_templates(space, staged)
        written = [pipeline.write_batch(space, **batch) for batch in learnt]
        return pipeline.publish_batches(space, written, set_aside)

    return run


@pytest.fixture(scope="session")
def train() -> Callable[..., Judged]:
    """One run of the steps of the DAG `train_detectors` on a source, with what its form would say;
    what the gate said."""

    def run(space: Workspace, source: str, start: str, end: str, **said: Any) -> Judged:
        asked = {**REQUEST, "source": source, "start": start, "end": end, "known_until": end}
        prepared = data.prepare(space, cast("Request", {**asked, **said}))
        opened = studies.open_studies(space, [prepared])
        for job in studies.trials_of(opened):
            studies.run_trial(space, job)
        fitted = [candidates.fit(space, study) for study in opened]
        judged = gate.judge(space, prepared, fitted)
        gate.promote(space, [judged], [])
        return judged

    return run


@pytest.fixture(scope="session")
def crown(train: Callable[..., Judged]) -> Callable[..., str]:
    """Train a family on a period and make it the source's champion, whatever the gate would say;
    its version."""

    def run(
        space: Workspace, source: str, start: datetime, end: datetime, family: str = "novelty"
    ) -> str:
        judged = train(
            space,
            source,
            start.isoformat(),
            end.isoformat(),
            families=[family],
            policy="never",
            known_until=(end + timedelta(days=1)).isoformat(),
            dag_run_id=f"{family} until {end}",
        )
        client = tracking.connect(space.settings)
        tracking.promote(client, source, judged["version"], "a test wants it so")
        return judged["version"]

    return run


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real labelled logs, which a user's clone does not have."""
    folder = Path(os.environ.get("LOGANALYZER_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real logs in {folder}: set LOGANALYZER_DATA to their folder")
    return folder
