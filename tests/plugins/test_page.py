"""The pages inside Airflow: who sees them, and that what comes from logs is text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from include.database import coverage, promotions
from include.quality import DOCS
from include.workspace import Workspace
from plugins.page import app as page
from tests import nights

HOSTILE = (
    "<script>alert(1)</script> \"'><img src=x onerror=alert(2)> \x1b[31m \u202egpj.exe {{ 7*7 }}"
)
MARKS = re.compile(r"<script|<img|onerror=alert\(2\)>|\x1b|\u202e")
NIGHT = datetime(2026, 3, 3, tzinfo=UTC)
ROUTES = [route for route in page.create_app().routes if isinstance(route, APIRoute)]


@pytest.fixture
def stranger(workspace: Workspace) -> TestClient:
    return TestClient(page.create_app())


@pytest.fixture
def reader(stranger: TestClient) -> Iterator[TestClient]:
    """Somebody whom every guard lets pass: Airflow asks its own database about people, and there is
    none here. The guards themselves are tested with `stranger`, and under Airflow."""
    for route in ROUTES:
        for guard in route.dependencies:
            stranger.app.dependency_overrides[guard.dependency] = lambda: None
    yield stranger
    stranger.app.dependency_overrides.clear()


@pytest.fixture
def source(workspace: Workspace) -> str:
    """A source whose last night and last verdict are hostile."""
    name = f"t_{uuid4().hex[:8]}{HOSTILE}"
    odd = {"session_key": HOSTILE, "reason": f"never seen before: {HOSTILE}"}
    nights.score(workspace, name, NIGHT, [replace(nights.anomaly(NIGHT, score=3.5), **odd)])
    judged = coverage.Judged(windows=10, anomalies=1, unseen_share=None, objects_seen="")
    with workspace.engine.begin() as conn:
        coverage.record(conn, name, NIGHT, NIGHT + nights.DAY, NIGHT, judged)
        promotions.record(conn, verdict(name, "hostile"))
    return name


def verdict(source: str, dag_run_id: str, **values: Any) -> dict[str, Any]:
    check = {"name": HOSTILE, "passed": False, "wanted": "", "champion": "", "challenger": "0.1"}
    row = {
        "source": source,
        "dag_run_id": dag_run_id,
        "model_name": "m",
        "version": "2",
        "family": "novelty",
        "champion_before": "1",
        "mlflow_run_id": "r",
        "checks": [check],
        "passed": False,
        "reason": HOSTILE,
        "policy": "auto",
        "outcome": "waiting",
        "decided_by": promotions.GATE,
        "note": HOSTILE,
    }
    return row | values


def test_airflow_loads_the_plugins_and_nothing_that_only_serves_the_page(
    stack: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow import plugins_manager, settings

    from include.settings import PROJECT_ROOT

    monkeypatch.setattr(settings, "PLUGINS_FOLDER", str(PROJECT_ROOT / "plugins"))
    plugins_manager._get_plugins.cache_clear()
    try:
        plugins, errors = plugins_manager._get_plugins()
    finally:
        plugins_manager._get_plugins.cache_clear()
    assert errors == {}
    ours = {str(each.name): each for each in plugins if str(each.name).startswith("loganalyzer")}
    assert set(ours) == {"loganalyzer_page", "loganalyzer_audit"}
    views = {view["destination"]: view["href"] for view in ours["loganalyzer_page"].external_views}
    assert views == {"nav": "loganalyzer/", "dag_run": "loganalyzer/runs/{DAG_ID}/{RUN_ID}"}
    (served,) = ours["loganalyzer_page"].fastapi_apps
    assert (served["app"], served["url_prefix"]) == (page.create_app(), "/loganalyzer")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_nobody_sees_a_page_without_a_login(route: APIRoute, stranger: TestClient) -> None:
    path = re.sub(r"\{[^}]*\}", "x", route.path)
    for method in route.methods:
        assert stranger.request(method, path).status_code == 401


def test_there_is_nothing_beside_the_guarded_routes() -> None:
    assert {route.path for route in page.create_app().routes} == {route.path for route in ROUTES}
    assert all(route.dependencies for route in ROUTES)


def test_what_comes_from_logs_is_text_in_the_overview(reader: TestClient, source: str) -> None:
    told = reader.get("/")
    assert told.status_code == 200
    assert "&lt;script&gt;alert(1)" in told.text
    assert "2026-03-03" in told.text
    assert not MARKS.search(told.text)
    assert "{{ 7*7 }}" in told.text


def test_what_comes_from_logs_is_text_in_the_verdict(reader: TestClient, source: str) -> None:
    told = reader.get("/runs/train_detectors/hostile")
    assert "&lt;script&gt;alert(1)" in told.text
    assert ">no<" in told.text
    assert not MARKS.search(told.text)


def test_what_comes_from_logs_is_text_among_the_anomalies(
    reader: TestClient, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = {"model_version": "1", "windows": 10, "anomalies": 1}
    start, end = NIGHT.isoformat(), (NIGHT + timedelta(days=1)).isoformat()
    told_by_airflow = [
        {"source": source, "start": start, "end": end, "scored": scored},
        {"source": "not_there", "start": start, "end": end, "scored": None},
    ]
    # Airflow's own database is not here.
    monkeypatch.setattr(page, "nights_of", lambda run_id: told_by_airflow)
    told = reader.get("/runs/score_nightly/some")
    assert "never seen before: &lt;script&gt;" in told.text
    assert "3.50" in told.text
    assert "Not scored" in told.text
    assert not MARKS.search(told.text)


def test_a_page_may_run_nothing_and_stand_in_no_other_site(reader: TestClient) -> None:
    told = reader.get("/runs/keep_house/some")
    policy = told.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert page.DIGEST in policy


def test_the_data_docs_are_read_in_a_sandbox(reader: TestClient, workspace: Workspace) -> None:
    name = uuid4().hex
    bucket = workspace.settings.bucket_docs
    workspace.store.put_bytes(bucket, f"{DOCS}/{name}/index.html", b"<script>alert(1)</script>")
    told = reader.get(f"/docs/{name}/index.html")
    assert told.content == b"<script>alert(1)</script>"
    policy = told.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'"} <= set(policy)
    assert told.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.html",
        "%2e%2e/secret.html",
        "a/%2e%2e/%2e%2e/secret.html",
        "..%2fsecret.html",
        "..%5csecret.html",
        "%2fsecret.html",
        "a//secret.html",
        "./secret.html",
        "secret.html%00",
        "secret",
        "secret.json",
    ],
)
def test_no_way_leads_out_of_the_data_docs(
    path: str, reader: TestClient, workspace: Workspace
) -> None:
    bucket = workspace.settings.bucket_docs
    for key in ("secret.html", "secret", f"{DOCS}/secret", f"{DOCS}/secret.json"):
        workspace.store.put_bytes(bucket, key, b"secret")
    told = reader.get(f"/docs/{path}")
    assert told.status_code == 404
    assert b"secret" not in told.content
