"""Under the real scheduler: runs again, and kills in the middle, leave the same rows."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from include import tracking
from include.workspace import Workspace, open_workspace
from services.airflow_api import AirflowApi
from services.local import Stack
from services.simulator import simulate
from tests.processes import kill_leaves_below

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SOURCE = "storage"
FIRST_DAY = date(2026, 3, 2)
NIGHT = datetime(2026, 3, 3, tzinfo=UTC)
RUNS = {
    "ingest_logs": {"source": SOURCE},
    "train_detectors": {
        "source": SOURCE,
        "period_start": "2026-03-02T00:00:00Z",
        "period_end": "2026-03-03T00:00:00Z",
        "families": ["novelty"],
        "trials": 2,
    },
    "score_nightly": {"source": SOURCE, "first_day": "2026-03-03"},
}
WHEN = {
    "ingested_at",
    "created_at",
    "checked_at",
    "imported_at",
    "scored_at",
    "validation_id",
    "change_id",
    "changed_at",
    # The number of such a change.
    "catalogue_version",
    "first_scored_at",
    "updated_at",
}
TABLES = [
    "events_ledger",
    "lake_parts",
    "template_catalogue",
    "template_changes",
    "template_counts",
    "validations",
    "scorings",
    "anomalies",
    "shadow_scorings",
    "shadow_scores",
    "coverage",
    "incidents",
    "incident_anomalies",
]


@pytest.fixture(scope="module")
def running(airflow_stack: Stack) -> Stack:
    """The stack, with two days of sample logs in the bucket."""
    simulation = simulate(airflow_stack.folder / "samples", FIRST_DAY, days=2)
    space = open_workspace()
    for path in simulation.files:
        key = str(path.relative_to(simulation.folder))
        space.store.put_bytes(space.settings.bucket_logs, key, path.read_bytes())
    return airflow_stack


@pytest.fixture(scope="module")
def airflow(running: Stack) -> AirflowApi:
    api = running.airflow()
    for dag_id in RUNS:
        api.unpause(dag_id)
    return api


@pytest.fixture(scope="module")
def undisturbed(airflow: AirflowApi) -> dict[str, Any]:
    """What three runs without any trouble leave."""
    for dag_id, conf in RUNS.items():
        airflow.wait(dag_id, airflow.trigger(dag_id, conf), seconds=900)
    return rows_and_objects(open_workspace(), without=WHEN)


def test_running_every_dag_again_changes_no_row_and_no_object(
    airflow: AirflowApi, undisturbed: dict[str, Any]
) -> None:
    space = open_workspace()
    assert undisturbed["anomalies"], "the sample logs hold incidents"
    before = rows_and_objects(space, places=True)
    for dag_id, conf in RUNS.items():
        airflow.wait(dag_id, airflow.trigger(dag_id, conf), seconds=900)
    assert rows_and_objects(space, places=True) == before


def test_killed_tasks_leave_what_undisturbed_ones_leave(
    running: Stack, airflow: AirflowApi, undisturbed: dict[str, Any]
) -> None:
    space = open_workspace()
    forget(space)
    victims = {"ingest_logs": ["stage", "write", "publish"], "train_detectors": ["prepare", "fit"]}
    victims["score_nightly"] = ["score"]
    for dag_id, conf in RUNS.items():
        run_id = airflow.trigger(dag_id, conf)
        for task_id in victims[dag_id]:
            kill_in_the_middle(running, airflow, dag_id, run_id, task_id)
        airflow.wait(dag_id, run_id, seconds=900)
        attempts = {
            task["task_id"]: task["try_number"] for task in airflow.task_instances(dag_id, run_id)
        }
        assert [attempts[task_id] for task_id in victims[dag_id]] == [2] * len(victims[dag_id])
    assert rows_and_objects(space, without=WHEN) == undisturbed


def rows_and_objects(
    space: Workspace, without: set[str] = frozenset(), *, places: bool = False
) -> dict[str, Any]:
    """All rows of all tables, the objects of the lake, and the registered versions.

    places: with the place of each row on disk, which any update changes.
    """
    found: dict[str, Any] = {}
    with space.engine.connect() as conn:
        for table in TABLES:
            place = "ctid::text AS place, " if places else ""
            rows = conn.execute(sa.text(f"SELECT {place}* FROM loganalyzer.{table}")).mappings()
            found[table] = sorted(
                str({name: value for name, value in row.items() if name not in without})
                for row in rows
                # The scheduler scores last night too, where it was due not long ago.
                if row.get("interval_start", NIGHT) == NIGHT
            )
    lake = space.settings.bucket_lake
    found["objects"] = {
        item.key: item.etag
        for item in space.store.list(lake)
        # What training writes down names the last change to a template, by its row number.
        if not item.key.startswith("training/")
    }
    client = tracking.connect(space.settings)
    name = tracking.model_name(SOURCE)
    found["versions"] = sorted(v.version for v in client.search_model_versions(f"name='{name}'"))
    return found


def forget(space: Workspace) -> None:
    """Everything but the raw logs, as if nothing had been run."""
    with space.engine.begin() as conn:
        conn.execute(sa.text("TRUNCATE " + ", ".join(f"loganalyzer.{name}" for name in TABLES)))
    lake = space.settings.bucket_lake
    space.store.delete(lake, [item.key for item in space.store.list(lake)])
    client = tracking.connect(space.settings)
    client.delete_registered_model(tracking.model_name(SOURCE))
    experiment = client.get_experiment_by_name(f"loganalyzer/{SOURCE}")
    client.rename_experiment(experiment.experiment_id, "forgotten")
    client.delete_experiment(experiment.experiment_id)


def kill_in_the_middle(
    running: Stack, airflow: AirflowApi, dag_id: str, run_id: str, task_id: str
) -> None:
    """SIGKILL the processes of a running task, as the kernel does when memory runs out."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        states = {task["task_id"]: task["state"] for task in airflow.task_instances(dag_id, run_id)}
        if states.get(task_id) == "running":
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"{task_id} did not start")
    time.sleep(1)  # past its imports, into its work
    scheduler = psutil.Process(running.state().processes["airflow-scheduler"].pid)
    assert kill_leaves_below(*scheduler.children()), "a running task has a process"
