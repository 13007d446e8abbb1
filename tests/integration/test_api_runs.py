"""Under the real Airflow: runs are started, followed and answered through the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.database import accounts, logins
from include.workspace import Workspace, open_workspace
from services.api.app import create_app
from services.local import Stack
from services.simulator import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SOURCE = """
name: followed
format: log4j
windowing: {kind: session, key: 'req=([0-9a-f]{8})', idle_timeout: 30m, longest_span: 6h}
"""
START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = 6
RETRAIN = {
    "source": "followed",
    "families": ["novelty"],
    "period_start": "2026-03-02T00:00:00Z",
    "period_end": "2026-03-02T06:00:00Z",
    "trials": 1,
    "policy": "approve",
}


@pytest.fixture(scope="module")
def space(
    airflow_stack: Stack,
    ingest: Callable[[Workspace, str], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    """The whole stack, with some hours of sample logs in the lake."""
    folder = airflow_stack.folder / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "followed.yaml").write_text(SOURCE)
    open_workspace.cache_clear()
    found = open_workspace()
    written = simulate(tmp_path_factory.mktemp("samples"), START.date(), days=1)
    for path in sorted(written.files)[:HOURS]:
        key = f"followed/{path.name}"
        found.store.put_bytes(found.settings.bucket_logs, key, path.read_bytes())
    ingest(found, "followed")
    return found


@pytest.fixture
def analyst(space: Workspace) -> Iterator[TestClient]:
    with space.engine.begin() as conn:
        user = accounts.create_user(conn, f"u{uuid4().hex[:12]}", None, "analyst")
        secret = logins.open_session(conn, user).secret
    headers = {"Authorization": f"Bearer {secret}"}
    with TestClient(create_app(space), headers=headers, raise_server_exceptions=False) as caller:
        yield caller


def followed(caller: TestClient, started: dict[str, Any], until: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 300
    while True:
        found = caller.get(f"/v1/runs/{started['dag_id']}/{started['run_id']}").json()
        if until(found):
            return found
        assert found["state"] in ("queued", "running"), found
        assert time.monotonic() < deadline, found
        time.sleep(1)


def test_a_retrain_is_started_followed_and_answered(space: Workspace, analyst: TestClient) -> None:
    form = analyst.get("/v1/runs/train_detectors/form").json()
    assert form["params"]["policy"]["schema"]["enum"] == ["auto", "approve", "never"]
    assert form["params"]["trials"]["value"] == 10

    answer = analyst.post("/v1/runs/retrain", json={"conf": RETRAIN})
    assert answer.status_code == 202, answer.text
    started = answer.json()
    waiting = followed(analyst, started, lambda found: found["waits_for"])
    (question,) = waiting["waits_for"]
    assert question["options"] == ["Approve", "Reject"]
    assert question["subject"].startswith("followed: may version 1 (novelty)")
    assert waiting["conf"]["policy"] == "approve"
    path = f"/v1/runs/{started['dag_id']}/{started['run_id']}/answer"
    said = {"map_index": question["map_index"], "option": "Reject"}
    assert analyst.post(path, json={**said, "option": "Perhaps"}).status_code == 422
    assert analyst.post(path, json={**said, "map_index": 7}).status_code == 404
    while (told := analyst.post(path, json=said)).status_code == 409:
        time.sleep(int(told.headers["Retry-After"]))
    assert told.status_code == 204, told.text
    ended = followed(analyst, started, lambda found: found["state"] == "success")
    assert (ended["waits_for"], ended["failed_tasks"]) == ([], [])
    assert analyst.post(path, json=said).status_code == 404

    (said_of_it,) = analyst.get("/v1/models/followed/promotions").json()["items"]
    assert (said_of_it["dag_run_id"], said_of_it["outcome"]) == (started["run_id"], "rejected")
    newest = analyst.get("/v1/runs", params={"dag_id": "train_detectors"}).json()["items"][0]
    assert newest["run_id"] == started["run_id"]
    assert newest["note"].startswith("asked for by u")
    query = sa.text(
        "SELECT action, after FROM loganalyzer.audit_log"
        " WHERE action LIKE 'run.%' AND origin = 'api'"
    )
    with space.engine.connect() as conn:
        actions = dict(conn.execute(query).tuples().all())
    assert actions["run.trigger"] == RETRAIN
    assert actions["run.answer"]["option"] == "Reject"


@pytest.mark.parametrize(
    "conf",
    [
        {"families": ["oracle"]},
        {"trials": 0},
        {"trials": 10**30},
        {"policy": ["auto"]},
        {"source": "nobodys"},
        {"source": 7},
        {"color": "red"},
    ],
)
def test_what_does_not_fit_the_form_is_refused(analyst: TestClient, conf: dict[str, Any]) -> None:
    answer = analyst.post("/v1/runs/retrain", json={"conf": conf})
    assert (answer.status_code, answer.headers["content-type"]) == (
        422,
        "application/problem+json",
    ), answer.text


def test_days_are_scored_again(analyst: TestClient) -> None:
    asked = {"source": "followed", "first_day": "2026-03-02"}
    answer = analyst.post("/v1/runs/rescore", json=asked)
    assert answer.status_code == 202, answer.text
    ended = followed(analyst, answer.json(), lambda found: found["state"] == "success")
    assert ended["conf"] == asked
    state = analyst.get("/v1/pipeline").json()
    assert state["sources"][0]["last_night"]["state"] == "scored"
    assert {each["is_healthy"] for each in state["components"]} == {True}


@pytest.mark.parametrize("run_id", ["none", "..%2F..", "a b", "%F0%9F%92%A9", "x" * 250])
def test_runs_that_are_not_there(analyst: TestClient, run_id: str) -> None:
    answer = analyst.get(f"/v1/runs/train_detectors/{run_id}")
    assert answer.status_code in (404, 422), answer.text


def test_a_login_that_airflow_forgets_is_made_anew(
    analyst: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert analyst.get("/v1/runs").status_code == 200
    login = analyst.app.state.airflow._http.auth
    monkeypatch.setattr(login, "_token", "forgotten")
    assert analyst.get("/v1/runs").status_code == 200
