"""Under the real scheduler: a source that drifted asks for a retrain once, a quiet one never."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.workspace import Workspace, open_workspace
from services.airflow_api import AirflowApi
from services.local import Stack
from services.local.environment import database_url

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
DAG_ID, RETRAIN = "monitor_sources", "train_detectors"
CONF = {"day": "2026-03-03"}
SOURCE = """
name: {name}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""


@pytest.fixture
def sources(
    airflow_stack: Stack, ingest: Callable[[Workspace, str], int], crown: Callable[..., str]
) -> None:
    """Two sources, trained on a day; on the next one `released` logs something new."""
    folder = airflow_stack.folder / "sources"
    folder.mkdir(exist_ok=True)
    for name in ("quiet", "released"):
        Path(folder, f"{name}.yaml").write_text(SOURCE.format(name=name))
    open_workspace.cache_clear()
    space = open_workspace()
    for name, second in {"quiet": "all is well", "released": "cache warmed"}.items():
        for n, message in enumerate(["all is well", second]):
            lines = (
                f"{FIRST + n * DAY + k * DAY / 400:%Y-%m-%d %H:%M:%S},000 INFO a.B: "
                f"req={400 * n + k:08x} {message}\n"
                for k in range(380)
            )
            key = f"{name}/{n}.log"
            space.store.put_bytes(space.settings.bucket_logs, key, "".join(lines).encode())
        ingest(space, name)
        crown(space, name, FIRST, FIRST + DAY)


@pytest.fixture
def airflow(airflow_stack: Stack, sources: None) -> AirflowApi:
    api = airflow_stack.airflow()
    for dag_id in (DAG_ID, RETRAIN):
        api.unpause(dag_id)
    return api


@pytest.fixture
def metadata(airflow_stack: Stack) -> Iterator[sa.Engine]:
    """Airflow's own database."""
    engine = sa.create_engine(database_url(airflow_stack.state(), "airflow"))
    yield engine
    engine.dispose()


def run(airflow: AirflowApi) -> dict[str, list[str]]:
    """The states of each task's instances after one run."""
    run_id = airflow.trigger(DAG_ID, CONF)
    airflow.wait(DAG_ID, run_id, seconds=600)
    states: dict[str, list[str]] = {}
    for task in airflow.task_instances(DAG_ID, run_id):
        states.setdefault(task["task_id"], []).append(task["state"])
    return states


def events(metadata: sa.Engine) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT e.extra FROM asset_event AS e JOIN asset AS a ON a.id = e.asset_id "
        "WHERE a.name = 'source_drift'"
    )
    with metadata.connect() as conn:
        return list(conn.scalars(query))


def retrain(metadata: sa.Engine) -> str:
    """The run that the event has started."""
    query = sa.text("SELECT run_id FROM dag_run WHERE dag_id = :dag_id AND run_type LIKE 'asset%'")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with metadata.connect() as conn:
            if (run_id := conn.scalar(query, {"dag_id": RETRAIN})) is not None:
                return str(run_id)
        time.sleep(1)
    pytest.fail("the event started no retrain")


def test_the_source_that_drifted_asks_once(airflow: AirflowApi, metadata: sa.Engine) -> None:
    states = run(airflow)
    assert set(states["measure"]) == {"success"}
    assert states["ask_for_retrain"] == states["record"] == ["success"]
    (extra,) = events(metadata)
    assert (extra["source"], extra["day"]) == ("released", "2026-03-03")
    assert "version 1 learnt" in extra["reason"]
    states = run(airflow)
    assert states["ask_for_retrain"] == states["record"] == ["skipped"]
    assert len(events(metadata)) == 1

    run_id = retrain(metadata)
    airflow.wait(RETRAIN, run_id, seconds=300)
    (request,) = airflow.result(RETRAIN, run_id, "plan")
    assert (request["source"], request["note"]) == ("released", extra["reason"])


def test_where_nothing_drifted_nothing_is_asked_for(
    airflow: AirflowApi, metadata: sa.Engine
) -> None:
    before = events(metadata)
    run_id = airflow.trigger(DAG_ID, {**CONF, "source": "quiet"})
    airflow.wait(DAG_ID, run_id, seconds=600)
    states = {t["task_id"]: t["state"] for t in airflow.task_instances(DAG_ID, run_id)}
    assert states["ask_for_retrain"] == states["record"] == "skipped"
    assert events(metadata) == before
