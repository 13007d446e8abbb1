"""Live, ready and measured."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from fastapi import Depends
from fastapi.testclient import TestClient

from include import database
from include.workspace import Workspace
from services.api.access import anybody
from services.api.app import create_app
from tests.services.api.conftest import Login


def test_it_is_live_and_ready_without_a_login(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


def test_without_postgres_it_lives_and_is_not_ready(space: Workspace) -> None:
    nowhere = sa.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/nothing")
    client = TestClient(create_app(replace(space, engine=nowhere)))
    assert client.get("/livez").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Postgres does not answer"


def test_requests_are_counted_by_route_for_those_who_may_read(
    client: TestClient, login: Login
) -> None:
    assert client.get("/metrics").status_code == 401
    told = login().get("/metrics").text
    assert 'loganalyzer_api_requests_total{method="GET",route="/metrics",status="401"}' in told


def test_an_answer_names_its_request(client: TestClient) -> None:
    mine = client.get("/nothing", headers={"X-Request-ID": "request-of-mine"})
    assert mine.headers["x-request-id"] == mine.json()["request_id"] == "request-of-mine"
    forged = client.get("/nothing", headers={"X-Request-ID": "a\tb"})
    assert forged.json()["request_id"] == forged.headers["x-request-id"] != "a\tb"
    assert forged.json()["status"] == forged.status_code == 404


def test_a_statement_without_end_is_ended_and_told(space: Workspace) -> None:
    short = replace(space, engine=database.engine(space.settings, longest_s=1))
    app = create_app(short)

    @app.get("/slow", dependencies=[Depends(anybody)])
    def slow() -> None:
        with short.engine.connect() as conn:
            conn.execute(sa.text("SELECT pg_sleep(30)"))

    answer = TestClient(app, raise_server_exceptions=False).get("/slow")
    assert answer.status_code == 503
    assert "ask for less" in answer.json()["detail"]
