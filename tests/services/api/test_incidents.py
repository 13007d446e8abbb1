"""Incidents over the API: in pages, one with all that is known of it, past ones, and their end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.database import feedback
from include.database.feedback import Subject
from include.incidents import group_from
from include.workspace import Workspace
from tests.nights import DAY, HOUR, MONDAY, anomaly, new_source, scored
from tests.services.api.conftest import Login
from tests.services.api.test_anomalies import pages

MISSING = {"kind": "missing", "template_id": "ab", "expected": 2, "found": 0, "share": 1.0}


@pytest.fixture
def reader(login: Login) -> TestClient:
    return login("viewer")


@pytest.fixture
def source(space: Workspace) -> Iterator[str]:
    """`missing:ab` on Monday and Tuesday, `new:cd` on Monday, and a silence on Tuesday."""
    name = new_source()
    odd = replace(
        anomaly(MONDAY + HOUR, "w1", score=9), explanation=[MISSING], sequence=["ab", "x"]
    )
    nights = [
        [odd, anomaly(MONDAY + 2 * HOUR, "w2"), anomaly(MONDAY + 3 * HOUR, "w3", kind="new:cd")],
        [
            replace(anomaly(MONDAY + DAY + HOUR, "w4"), severity="critical"),
            anomaly(MONDAY + DAY + 2 * HOUR, "w5", kind="rate:silence"),
        ],
    ]
    with scored(space, name, nights):
        yield name


def listed(reader: TestClient, **asked: Any) -> list[dict[str, Any]]:
    return [row for page in pages(reader, "/v1/incidents", **asked) for row in page]


def of_kind(reader: TestClient, source: str, signature: str) -> dict[str, Any]:
    (row,) = (row for row in listed(reader, source=source) if row["signature"] == signature)
    return row


def test_pages_hold_each_incident_once_the_newest_night_first(
    reader: TestClient, source: str
) -> None:
    found = list(pages(reader, "/v1/incidents", source=source, limit=2))
    assert [len(page) for page in found] == [2, 1]
    rows = [row for page in found for row in page]
    assert {row["signature"] for row in rows} == {"missing:ab", "new:cd", "rate:silence"}
    assert rows[2]["signature"] == "new:cd"
    assert rows[0]["last_night"] == rows[1]["last_night"] == "2026-03-03T00:00:00Z"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"state": "ongoing"}, {"missing:ab"}),
        ({"state": ["open", "ongoing"]}, {"missing:ab", "new:cd", "rate:silence"}),
        ({"state": "resolved"}, set()),
        ({"from": MONDAY + DAY}, {"missing:ab", "rate:silence"}),
        ({"to": MONDAY + HOUR}, set()),
        ({"to": MONDAY + 2 * HOUR}, {"missing:ab"}),
        ({"q": "SILENCE"}, {"rate:silence"}),
        ({"q": "%%"}, set()),
    ],
    ids=str,
)
def test_filters_hold(
    reader: TestClient, source: str, asked: dict[str, Any], expected: set[str]
) -> None:
    found = listed(reader, source=source, **asked)
    assert {row["signature"] for row in found} == expected


def test_only_severe_ones_are_listed_where_that_is_asked(reader: TestClient, source: str) -> None:
    ranks = ["low", "medium", "high", "critical"]
    known = {row["incident_id"]: ranks.index(row["severity"]) for row in listed(reader)}
    for least in ranks:
        found = listed(reader, minimum_severity=least)
        assert {row["incident_id"] for row in found} == {
            key for key, rank in known.items() if rank >= ranks.index(least)
        }


def test_one_is_told_with_kinds_nights_and_why_its_oddest_anomaly_is_one(
    reader: TestClient, source: str
) -> None:
    row = of_kind(reader, source, "missing:ab")
    told = reader.get(f"/v1/incidents/{row['incident_id']}").json()
    assert told.items() >= row.items()
    assert told["by_source"] == [{"source": source, "anomalies": 3}]
    [kind] = told["kinds"]
    assert (kind["signature"], kind["anomalies"], kind["texts"]) == ("missing:ab", 3, ["ab"])
    assert [(night["night"][:10], night["anomalies"]) for night in told["history"]] == [
        ("2026-03-02", 2),
        ("2026-03-03", 1),
    ]
    assert [finding["kind"] for finding in told["explanation"]] == ["missing"]
    assert reader.get(f"/v1/anomalies/{told['oddest_id']}").json()["window_id"] == "w1"


def test_its_anomalies_are_listed_the_oddest_first(reader: TestClient, source: str) -> None:
    row = of_kind(reader, source, "missing:ab")
    found = pages(reader, f"/v1/incidents/{row['incident_id']}/anomalies", limit=2)
    assert [each["window_id"] for page in found for each in page] == ["w1", "w4", "w2"]


def test_feedback_is_told_whether_it_was_said_of_the_incident_or_an_anomaly(
    reader: TestClient, space: Workspace, source: str
) -> None:
    row = of_kind(reader, source, "missing:ab")
    with space.engine.begin() as conn:
        feedback.give(conn, Subject(source, "w2"), "true", "of one", "ada")
        feedback.give(conn, Subject(incident_id=row["incident_id"]), "true", "of all", "bob")
        feedback.give(conn, Subject(source, "w3"), "true", "of another", "ada")
    told = reader.get(f"/v1/incidents/{row['incident_id']}").json()["feedback"]
    assert [(each["author"], each["reason"]) for each in told] == [
        ("bob", "of all"),
        ("ada", "of one"),
    ]


def test_past_incidents_that_are_alike_come_with_what_people_said(
    reader: TestClient, space: Workspace
) -> None:
    source = new_source()
    nights = [
        [replace(anomaly(MONDAY + HOUR, "old", kind="missing:1"), sequence=["a", "b", "c"])],
        [replace(anomaly(MONDAY + DAY, "other", kind="missing:2"), sequence=["x", "c"])],
        [replace(anomaly(MONDAY + 2 * DAY, "new", kind="missing:3"), sequence=["a", "b", "c"])],
    ]
    with scored(space, source, nights):
        old = of_kind(reader, source, "missing:1")
        new = of_kind(reader, source, "missing:3")
        with space.engine.begin() as conn:
            feedback.give(conn, Subject(incident_id=old["incident_id"]), "true", "a test", "ada")
        told = reader.get(f"/v1/incidents/{new['incident_id']}/similar").json()["items"]
    assert [each["signature"] for each in told] == ["missing:1", "missing:2"]
    assert told[0]["similarity"] == 1.0 > told[1]["similarity"]
    assert [each["author"] for each in told[0]["feedback"]] == ["ada"]


def test_an_analyst_resolves_one_once_and_it_is_on_record(
    login: Login, space: Workspace, source: str
) -> None:
    analyst = login("analyst", f"ada-{source[-6:]}")
    row = of_kind(analyst, source, "new:cd")
    path = f"/v1/incidents/{row['incident_id']}"
    done = analyst.post(f"{path}/resolve", json={"reason": "disk exchanged"})
    assert (done.status_code, done.json()["state"]) == (200, "resolved")
    assert done.json()["resolved_by"] == f"ada-{source[-6:]}"
    group_from(space, MONDAY)
    assert analyst.get(path).json()["resolved_reason"] == "disk exchanged"
    again = analyst.post(f"{path}/resolve", json={"reason": "again"})
    assert again.status_code == 409
    with space.engine.connect() as conn:
        query = "SELECT action, after ->> 'reason' FROM loganalyzer.audit_log WHERE subject = :id"
        rows = conn.execute(sa.text(query), {"id": row["incident_id"]}).all()
    assert [tuple(each) for each in rows] == [("incident.resolve", "disk exchanged")]


def test_a_viewer_resolves_nothing(reader: TestClient, source: str) -> None:
    row = of_kind(reader, source, "new:cd")
    path = f"/v1/incidents/{row['incident_id']}"
    assert reader.post(f"{path}/resolve", json={"reason": "over"}).status_code == 403
    assert reader.get(path).json()["state"] == "open"


@pytest.mark.parametrize("path", ["", "/anomalies", "/lines", "/similar"])
def test_an_unknown_one_is_not_found(reader: TestClient, path: str) -> None:
    answer = reader.get(f"/v1/incidents/no-such{path}")
    assert answer.status_code == 404
    assert "GET /v1/incidents" in answer.json()["detail"]


def test_an_unknown_one_is_not_resolved(login: Login) -> None:
    answer = login("analyst").post("/v1/incidents/no-such/resolve", json={"reason": "over"})
    assert answer.status_code == 404


def test_what_a_caller_has_already_is_not_sent_again(reader: TestClient, source: str) -> None:
    path = f"/v1/incidents/{of_kind(reader, source, 'new:cd')['incident_id']}"
    etag = reader.get(path).headers["etag"]
    assert reader.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert reader.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200
