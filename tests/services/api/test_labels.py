"""Labels over the API: added, listed, changed and taken back, and on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.sources import LogSource
from include.workspace import Workspace
from services.api.app import create_app
from tests.nights import forget, new_source
from tests.services.api.conftest import Login

WINDOWING = {"kind": "time", "size": "1h", "step": "1h"}


@pytest.fixture
def source(space: Workspace) -> Iterator[str]:
    name = new_source()
    yield name
    forget(space, name)


@pytest.fixture
def analyst(space: Workspace, source: str, login: Login) -> TestClient:
    known = LogSource.model_validate({"name": source, "format": "log4j", "windowing": WINDOWING})
    app = create_app(replace(space, sources={source: known}))
    return TestClient(app, raise_server_exceptions=False, headers=login("analyst").headers)


def label(of: str, **more: Any) -> dict[str, Any]:
    return {
        "source": of,
        "session_key": "s1",
        "is_anomalous": True,
        "reason": "disk full",
        **more,
    }


def listed(analyst: TestClient, source: str, **asked: Any) -> dict[str, Any]:
    answer = analyst.get("/v1/labels", params={"source": source, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


def actions(space: Workspace, analyst: TestClient) -> list[tuple[str, bool, bool]]:
    query = "SELECT action, before IS NULL, after IS NULL FROM loganalyzer.audit_log "
    query += "WHERE actor = :name AND action LIKE 'label.%' ORDER BY audit_id"
    name = analyst.get("/v1/me").json()["name"]
    with space.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query), {"name": name})]


def test_a_label_is_added_changed_and_taken_back(
    analyst: TestClient, space: Workspace, source: str
) -> None:
    added = analyst.post("/v1/labels", json=label(source))
    assert added.status_code == 201, added.text
    same = analyst.post("/v1/labels", json=label(source, reason="another"))
    assert same.json() == added.json()
    changed = analyst.post("/v1/labels", json=label(source, is_anomalous=False, reason="a test"))
    assert changed.json()["label_id"] == added.json()["label_id"]
    assert listed(analyst, source)["items"] == [changed.json()]
    assert analyst.delete(f"/v1/labels/{added.json()['label_id']}").status_code == 204
    assert listed(analyst, source)["items"] == []
    assert actions(space, analyst) == [
        ("label.add", True, False),
        ("label.add", False, False),
        ("label.remove", False, True),
    ]


def test_pages_hold_each_label_once_the_newest_first(analyst: TestClient, source: str) -> None:
    for number in range(5):
        assert analyst.post("/v1/labels", json=label(source, session_key=f"s{number}")).is_success
    first = listed(analyst, source, limit=3)
    second = listed(analyst, source, limit=3, cursor=first["next_cursor"])
    found = [row["session_key"] for page in (first, second) for row in page["items"]]
    assert found == ["s4", "s3", "s2", "s1", "s0"]
    assert second["next_cursor"] is None


def test_a_golden_incident_stays(analyst: TestClient, source: str) -> None:
    golden = analyst.post("/v1/labels", json=label(source, golden=True)).json()
    refused = analyst.delete(f"/v1/labels/{golden['label_id']}")
    assert (refused.status_code, "golden" in refused.json()["detail"]) == (409, True)
    assert analyst.post("/v1/labels", json=label(source, is_anomalous=False)).status_code == 422
    assert listed(analyst, source)["items"] == [golden]


@pytest.mark.parametrize(
    "told",
    [
        {"session_key": None},
        {"session_key": ""},
        {"starts_at": "2026-03-02T00:00:00Z"},
        {"starts_at": "2026-03-02T00:00:00Z", "ends_at": "2026-03-02T00:00:00Z"},
        {"is_anomalous": False, "golden": True},
        {"source": "nothing"},
        {"session_key": "a\0b"},
        {"reason": ""},
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused(
    analyst: TestClient, source: str, told: dict[str, Any]
) -> None:
    assert analyst.post("/v1/labels", json=label(source, **told)).status_code == 422
    assert listed(analyst, source)["items"] == []


def test_an_unknown_label_is_not_found(analyst: TestClient) -> None:
    assert analyst.delete(f"/v1/labels/{2**62}").status_code == 404


def test_a_viewer_labels_nothing(login: Login, source: str) -> None:
    viewer = login("viewer")
    assert viewer.post("/v1/labels", json=label(source)).status_code == 403
    assert viewer.delete("/v1/labels/1").status_code == 403
