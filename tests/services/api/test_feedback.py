"""Feedback and proposals over the API: what people say mutes, confirms, and is on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.workspace import Workspace
from tests.nights import DAY, HOUR, MONDAY, anomaly, new_source, scored
from tests.services.api.conftest import Login
from tests.services.api.test_anomalies import listed


@pytest.fixture
def analyst(login: Login) -> TestClient:
    return login("analyst")


@pytest.fixture
def source(space: Workspace) -> Iterator[str]:
    """Three nights of `new:ab`, and a kind of its own on Monday."""
    name = new_source()
    nights = [[anomaly(MONDAY + day * DAY, f"w{day}", kind="new:ab")] for day in range(3)]
    nights[0].append(anomaly(MONDAY + HOUR, "other", kind="missing:cd"))
    with scored(space, name, nights):
        yield name


def windows(reader: TestClient, source: str) -> set[str]:
    return {row["window_id"] for row in listed(reader, source=source)}


def recorded(space: Workspace, analyst: TestClient, verb: str) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT subject, before, after FROM loganalyzer.audit_log"
        " WHERE actor = :name AND action = :verb ORDER BY audit_id"
    )
    name = analyst.get("/v1/me").json()["name"]
    with space.engine.connect() as conn:
        return [dict(row) for row in conn.execute(query, {"name": name, "verb": verb}).mappings()]


def test_a_false_alarm_mutes_its_kind_until_it_is_withdrawn(
    analyst: TestClient, space: Workspace, source: str
) -> None:
    said = {"verdict": "false", "reason": "a test", "source": source, "window_id": "w0"}
    given = analyst.post("/v1/feedback", json=said)
    assert given.status_code == 201, given.text
    [feedback_id] = given.json()["feedback_ids"]
    assert windows(analyst, source) == {"other"}
    [row] = analyst.get("/v1/feedback", params={"source": source, "counted": True}).json()["items"]
    assert (row["feedback_id"], row["signature"], row["hidden"]) == (feedback_id, "new:ab", 3)
    assert row["author"] == analyst.get("/v1/me").json()["name"]
    withdrawn = analyst.post(f"/v1/feedback/{feedback_id}/withdraw", json={"reason": "mistaken"})
    assert withdrawn.status_code == 200, withdrawn.text
    assert windows(analyst, source) == {"w0", "w1", "w2", "other"}
    again = analyst.post(f"/v1/feedback/{feedback_id}/withdraw", json={"reason": "mistaken"})
    assert again.status_code == 409
    [entry] = recorded(space, analyst, "feedback.give")
    assert entry["subject"] == f"anomaly w0 of {source}"
    assert entry["after"].items() >= {"verdict": "false", "feedback_ids": [feedback_id]}.items()
    assert len(recorded(space, analyst, "feedback.withdraw")) == 1


def test_the_preview_counts_what_a_mute_would_hide_and_saves_nothing(
    analyst: TestClient, source: str
) -> None:
    answer = analyst.post("/v1/feedback/preview", json={"source": source, "window_id": "w0"})
    assert answer.json() == {
        "anomalies": 3,
        "confirmed": 0,
        "told": "3 anomalies of the last 30 nights, none confirmed",
    }
    assert analyst.get("/v1/feedback", params={"source": source}).json()["items"] == []


def test_an_incident_is_muted_whole_and_only_while_it_is_expected(
    analyst: TestClient, source: str
) -> None:
    incident = next(row for row in listed(analyst, source=source) if row["window_id"] == "w0")
    until = (MONDAY + DAY + HOUR).isoformat()
    said = {"verdict": "expected", "reason": "moved", "incident_id": incident["incident_id"]}
    assert analyst.post("/v1/feedback", json={**said, "until": until}).status_code == 201
    assert windows(analyst, source) == {"w2", "other"}


@pytest.mark.parametrize(
    "said",
    [
        {"verdict": "false"},
        {"verdict": "false", "window_id": "w0"},
        {"verdict": "false", "window_id": "w0", "source": "nothing"},
        {"verdict": "false", "incident_id": "nothing"},
        {"verdict": "false", "incident_id": "nothing", "template_id": "x"},
        {"verdict": "expected", "window_id": "w0", "source": "SOURCE"},
        {"verdict": "true", "window_id": "w0", "source": "SOURCE", "until": "2026-03-03T00:00Z"},
        {"verdict": "withdrawn", "window_id": "w0", "source": "SOURCE"},
        {"verdict": "true", "window_id": "w0", "source": "SOURCE", "reason": " "},
        {"verdict": "true", "window_id": "w0\0", "source": "SOURCE"},
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused_and_not_recorded(
    analyst: TestClient, space: Workspace, source: str, said: dict[str, str]
) -> None:
    told = {"reason": "a test"} | {
        name: source if value == "SOURCE" else value for name, value in said.items()
    }
    answer = analyst.post("/v1/feedback", json=told)
    assert (answer.status_code, answer.json()["title"]) == (422, "Unprocessable Entity")
    assert recorded(space, analyst, "feedback.give") == []


def test_pages_of_feedback_hold_each_once_the_newest_first(
    analyst: TestClient, source: str
) -> None:
    subject = {"source": source, "verdict": "true", "reason": "a test"}
    for window in ("w0", "w1", "w2", "other", "w0"):
        assert analyst.post("/v1/feedback", json={**subject, "window_id": window}).is_success
    first = analyst.get("/v1/feedback", params={"source": source, "limit": 3}).json()
    asked = {"source": source, "limit": 3, "cursor": first["next_cursor"]}
    second = analyst.get("/v1/feedback", params=asked).json()
    found = [row["feedback_id"] for page in (first, second) for row in page["items"]]
    assert found == sorted(set(found), reverse=True)
    assert (len(found), second["next_cursor"]) == (5, None)


def test_a_viewer_says_nothing(login: Login, source: str) -> None:
    viewer = login("viewer")
    said = {"verdict": "false", "reason": "a test", "source": source, "window_id": "w0"}
    for path in ("/v1/feedback", "/v1/feedback/preview", "/v1/feedback/1/withdraw"):
        assert viewer.post(path, json=said).status_code == 403
    assert "w0" in windows(viewer, source)


def test_what_lasts_is_accepted_as_normal(
    analyst: TestClient, space: Workspace, source: str
) -> None:
    [proposal] = analyst.get("/v1/proposals", params={"source": source}).json()["items"]
    assert (proposal["signature"], proposal["anomalies"]) == ("new:ab", 3)
    path = f"/v1/proposals/{proposal['incident_id']}/accept"
    assert analyst.post(path, json={"reason": "release 4.2"}).json() == {"kinds": 1}
    assert "w2" not in windows(analyst, source)
    assert analyst.get(f"/v1/incidents/{proposal['incident_id']}").json()["state"] == "resolved"
    assert analyst.get("/v1/proposals", params={"source": source}).json()["items"] == []
    assert analyst.post(path, json={"reason": "again"}).status_code == 404
    [entry] = recorded(space, analyst, "proposal.accept")
    assert entry["subject"] == proposal["incident_id"]


def test_what_lasts_and_is_refused_is_not_proposed_again(
    analyst: TestClient, space: Workspace, source: str
) -> None:
    [proposal] = analyst.get("/v1/proposals", params={"source": source}).json()["items"]
    path = f"/v1/proposals/{proposal['incident_id']}/refuse"
    assert analyst.post(path, json={"reason": "still broken"}).status_code == 204
    assert analyst.get("/v1/proposals", params={"source": source}).json()["items"] == []
    assert "w2" in windows(analyst, source)
    assert len(recorded(space, analyst, "proposal.refuse")) == 1
    assert analyst.post(path, json={"reason": "again"}).status_code == 404


def test_a_golden_incident_is_not_called_false(
    analyst: TestClient, space: Workspace, source: str
) -> None:
    with space.engine.begin() as conn:
        golden = (
            "INSERT INTO loganalyzer.labels (source, session_key, is_anomalous, author, reason,"
            " golden) VALUES (:source, 'session-w0', true, 'ada', 'a test', true)"
        )
        conn.execute(sa.text(golden), {"source": source})
    said = {"verdict": "false", "reason": "a test", "source": source, "window_id": "w0"}
    answer = analyst.post("/v1/feedback", json=said)
    assert answer.status_code == 422
    assert "golden incident" in answer.json()["detail"]
