"""Runs where there is no Airflow; with one, see tests/integration/test_api_runs.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

from include.settings import PROJECT_ROOT
from include.workspace import Workspace
from services.api.app import create_app
from services.api.routes.runs import DagId
from tests.services.api.conftest import Login

CONF: dict[str, Any] = {"conf": {}}


def at(space: Workspace, url: str, caller: TestClient) -> TestClient:
    settings = space.settings.model_copy(update={"airflow_url": url})
    app = create_app(replace(space, settings=settings))
    return TestClient(app, headers=dict(caller.headers), raise_server_exceptions=False)


def test_the_dags_are_those_of_the_folder() -> None:
    dags = {Path(each).stem for each in (PROJECT_ROOT / "dags").glob("[a-z]*.py")}
    assert set(get_args(DagId)) == dags


@pytest.mark.parametrize(
    ("url", "told"), [("", "LOGANALYZER_AIRFLOW_URL"), ("http://127.0.0.1:1", "does not answer")]
)
def test_without_airflow_it_is_said_what_to_do(
    space: Workspace, login: Login, url: str, told: str
) -> None:
    caller = at(space, url, login("analyst"))
    for answer in (
        caller.get("/v1/runs"),
        caller.get("/v1/runs/train_detectors/form"),
        caller.get("/v1/runs/train_detectors/x"),
        caller.post("/v1/runs/retrain", json=CONF),
        caller.post("/v1/runs/rescore", json={"source": "x", "first_day": "2026-03-02"}),
        caller.post("/v1/runs/train_detectors/x/answer", json={"map_index": 0, "option": "y"}),
    ):
        assert answer.status_code in (422, 503), answer.text
        assert told in answer.json()["detail"] or "no log source 'x'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("retrain", b'{"conf": {"note": "a\\u0000b"}}'),
        ("retrain", b'{"conf": {"note": "\\ud800"}}'),
        ("retrain", b'{"conf": {"seed": NaN}}'),
        ("retrain", b'{"conf": {"note": "' + b"x" * 20_001 + b'"}}'),
        ("retrain", b'{"conf": [], "more": 1}'),
        ("rescore", b'{"source": "x"}'),
        ("rescore", b'{"source": "x", "first_day": "2026-03-02", "last_day": "2026-03-01"}'),
        ("rescore", b'{"source": "x", "first_day": "2026-03-02", "model_version": "new"}'),
    ],
)
def test_what_nobody_could_keep_is_refused(
    space: Workspace, login: Login, path: str, body: bytes
) -> None:
    caller = at(space, "http://127.0.0.1:1", login("analyst"))
    kind = {"Content-Type": "application/json"}
    answer = caller.post(f"/v1/runs/{path}", content=body, headers=kind)
    assert answer.status_code == 422


def test_a_viewer_starts_and_answers_nothing(login: Login) -> None:
    viewer = login()
    assert viewer.post("/v1/runs/retrain", json=CONF).status_code == 403
    answer = {"map_index": 0, "option": "y"}
    assert viewer.post("/v1/runs/train_detectors/x/answer", json=answer).status_code == 403


@pytest.mark.parametrize("run_id", ["%2e%2e", "%2E", "a%20b", "a%3Fb"])
def test_a_run_is_named_by_no_other_address_of_airflow(
    space: Workspace, login: Login, run_id: str
) -> None:
    caller = at(space, "http://127.0.0.1:1", login("analyst"))
    path = f"/v1/runs/train_detectors/{run_id}"
    said = {"map_index": 0, "option": "Approve"}
    for answer in (caller.get(path), caller.post(f"{path}/answer", json=said)):
        assert answer.status_code == 422, answer.text
        assert "run_id" in answer.json()["detail"]
