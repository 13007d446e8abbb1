"""How the pipeline is, also where parts of it are away."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include import tracking
from include.database import coverage, monitoring
from include.database.monitoring import Measurement
from include.workspace import Workspace, open_workspace
from services.api.app import create_app
from tests.services.api.conftest import Login

SOURCE = "name: piped\nformat: log4j\nwindowing: {kind: time, size: 5m, step: 5m}\n"
NIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    Path(workspace.settings.sources_path, "piped.yaml").write_text(SOURCE)
    open_workspace.cache_clear()
    return open_workspace()


def pipeline_where_airflow_is_at(url: str, space: Workspace, login: Login) -> dict[str, Any]:
    settings = space.settings.model_copy(update={"airflow_url": url})
    caller = TestClient(create_app(replace(space, settings=settings)))
    found: dict[str, Any] = caller.get("/v1/pipeline", headers=dict(login().headers)).json()
    return found


def test_a_new_source_has_nothing_and_airflow_is_not_set(space: Workspace, login: Login) -> None:
    found = pipeline_where_airflow_is_at("", space, login)
    assert found["sources"] == [
        {
            "source": "piped",
            "last_ingest": None,
            "last_night": None,
            "champion": None,
            "measured_day": None,
            "drift": [],
            "retrain_asked_at": None,
        }
    ]
    assert [(each["name"], each["is_healthy"]) for each in found["components"]] == [
        ("mlflow", True),
        ("airflow", None),
    ]


def test_nights_and_drift_are_those_of_the_last(space: Workspace, login: Login) -> None:
    day = timedelta(days=1)
    judged = coverage.Judged(windows=10, anomalies=2, unseen_share=None, objects_seen="x")
    past = Measurement("piped", date(2026, 3, 3), "volume", 9.0, 3.0, True, None, 9, "far more")
    well = Measurement("piped", date(2026, 3, 3), "parse_failures", 0, 0.1, False, None, 9, "none")
    with space.engine.begin() as conn:
        for start in (NIGHT, NIGHT + day):
            coverage.record(conn, "piped", start, start + day, start + day, judged)
        monitoring.replace_day(conn, "piped", date(2026, 3, 3), [past, well])
        monitoring.record_request(conn, "piped", NIGHT + 2 * day, date(2026, 3, 3), "far more")
    (found,) = login().get("/v1/pipeline").json()["sources"]
    assert found["last_night"]["interval_start"] == "2026-03-03T00:00:00Z"
    assert found["last_night"]["state"] == "scored"
    assert [each["measure"] for each in found["drift"]] == ["volume"]
    assert found["retrain_asked_at"] == "2026-03-04T00:00:00Z"


def test_where_airflow_is_away_the_rest_is_told(space: Workspace, login: Login) -> None:
    found = pipeline_where_airflow_is_at("http://127.0.0.1:1", space, login)
    assert found["sources"][0]["source"] == "piped"
    airflow = found["components"][1]
    assert (airflow["name"], airflow["is_healthy"]) == ("airflow", False)
    assert "does not answer" in airflow["reason"]


def test_where_mlflow_is_away_that_is_told_soon(
    space: Workspace, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")  # as it was, once the test is over
    tracking.answer_soon()
    nowhere = {"airflow_url": "", "mlflow_tracking_uri": "http://127.0.0.1:1"}
    settings = space.settings.model_copy(update=nowhere)
    caller = TestClient(create_app(replace(space, settings=settings)))
    headers = dict(login().headers)
    begun = time.monotonic()
    found = caller.get("/v1/pipeline", headers=headers).json()
    assert (found["components"][0]["name"], found["components"][0]["is_healthy"]) == (
        "mlflow",
        False,
    )
    assert [each["source"] for each in found["sources"]] == ["piped"]
    answer = caller.get("/v1/models", headers=headers)
    assert (answer.status_code, "MLflow" in answer.json()["detail"]) == (503, True)
    assert time.monotonic() - begun < 30
