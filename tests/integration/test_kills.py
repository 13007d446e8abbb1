"""A retrain under the real scheduler, whose servers are killed one after the other."""

from __future__ import annotations

import time
from datetime import date

import psutil
import pytest
import sqlalchemy as sa

from include import tracking
from include.training import studies
from include.workspace import open_workspace
from services.airflow_api import AirflowApi
from services.local import Stack
from services.simulator import simulate
from tests.processes import kill_leaves_below

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SOURCE = "storage"
DAG_ID = "train_detectors"
TRIALS = 5
CONF = {
    "source": SOURCE,
    "period_start": "2026-03-02T00:00:00Z",
    "period_end": "2026-03-03T00:00:00Z",
    "families": ["novelty", "lstm"],
    "trials": TRIALS,
}


@pytest.fixture
def airflow(airflow_stack: Stack) -> AirflowApi:
    simulation = simulate(airflow_stack.folder / "samples", date(2026, 3, 2), days=2)
    space = open_workspace()
    for path in simulation.files:
        key = str(path.relative_to(simulation.folder))
        space.store.put_bytes(space.settings.bucket_logs, key, path.read_bytes())
    api = airflow_stack.airflow()
    for dag_id in ("ingest_logs", DAG_ID):
        api.unpause(dag_id)
    api.wait("ingest_logs", api.trigger("ingest_logs", {"source": SOURCE}), seconds=600)
    return api


def test_a_run_whose_servers_are_killed_ends_all_the_same(
    airflow: AirflowApi, airflow_stack: Stack
) -> None:
    run_id = airflow.trigger(DAG_ID, CONF)
    for number, victim in enumerate(("a worker", "airflow-scheduler", "mlflow", "postgres")):
        wait_until_trials_run(airflow, run_id, done=2 * number)
        if victim == "a worker":
            kill_workers(airflow_stack)
        else:
            kill(airflow_stack, victim)
            airflow_stack.up()
        airflow = airflow_stack.airflow()
    airflow.wait(DAG_ID, run_id, seconds=1200)
    check_what_is_left(run_id)


def wait_until_trials_run(airflow: AirflowApi, run_id: str, done: int) -> None:
    """Until so many trials have ended well, and another one is running."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        tasks = airflow.task_instances(DAG_ID, run_id)
        states = [task["state"] for task in tasks if task["task_id"] == "run_trial"]
        if states.count("success") >= done and "running" in states:
            return
        time.sleep(0.2)
    pytest.fail(f"no trial is running after {done} are done: {states}")


def kill_workers(stack: Stack) -> None:
    scheduler = psutil.Process(stack.state().processes["airflow-scheduler"].pid)
    kill_leaves_below(scheduler)


def kill(stack: Stack, name: str) -> None:
    process = psutil.Process(stack.state().processes[name].pid)
    family = [process, *process.children(recursive=True)]
    for each in family:
        if each.is_running():
            each.kill()
    psutil.wait_procs(family, timeout=15)


def check_what_is_left(run_id: str) -> None:
    space = open_workspace()
    with space.engine.connect() as conn:
        names = conn.scalars(sa.text("SELECT study_name FROM optuna.studies")).all()
        row = (
            conn.execute(
                sa.text("SELECT * FROM loganalyzer.promotions WHERE dag_run_id = :run_id"),
                {"run_id": run_id},
            )
            .mappings()
            .one()
        )
    assert len(names) == 2
    for name in names:
        trials = studies.load_study(space.settings, name).get_trials(deepcopy=False)
        tasks = [
            trial.user_attrs[studies.TASK] for trial in trials if trial.state in studies.FINISHED
        ]
        assert sorted(tasks) == list(range(TRIALS)), "each task has finished one trial"
    assert row["outcome"] == "promoted"
    client = tracking.connect(space.settings)
    versions = client.search_model_versions(f"name='{tracking.model_name(SOURCE)}'")
    assert [version.version for version in versions] == [row["version"]]
    found = tracking.champion(client, SOURCE)
    assert found is not None
    assert found.version == row["version"]
    tracking.smoke_test(SOURCE)
