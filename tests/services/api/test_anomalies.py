"""Anomalies over the API: in pages, filtered, one by one, and past ones that are alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.database import feedback
from include.database.anomalies import SEVERITIES
from include.database.feedback import Subject
from include.workspace import Workspace
from tests.nights import DAY, HOUR, MONDAY, anomaly, forget, new_source, score, scored
from tests.services.api.conftest import Login

MISSING = {
    "kind": "missing",
    "template_id": "ab",
    "expected": 2,
    "found": 0,
    "share": 0.75,
    "followed_by": None,
    "value": None,
    "habit": None,
}


@pytest.fixture
def reader(login: Login) -> TestClient:
    return login("viewer")


@pytest.fixture
def source(space: Workspace) -> Iterator[str]:
    """Monday to Wednesday with ten anomalies each, of every severity."""
    name = new_source()
    nights = [
        [
            replace(
                anomaly(
                    MONDAY + day * DAY + at * HOUR,
                    score=3 + (at * 7 + day) % 10 / 10,
                    kind=f"missing:{at % 3}",
                ),
                severity=SEVERITIES[at % 4],
                sequence=["ab", "cd", f"at{at}"],
            )
            for at in range(10)
        ]
        for day in range(3)
    ]
    with scored(space, name, nights):
        yield name


def pages(reader: TestClient, path: str, **asked: Any) -> Iterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        answer = reader.get(path, params={**asked, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return


def listed(reader: TestClient, **asked: Any) -> list[dict[str, Any]]:
    return [row for page in pages(reader, "/v1/anomalies", **asked) for row in page]


@pytest.mark.parametrize(("sort", "key"), [("time", "time"), ("score", "score")])
def test_pages_hold_each_anomaly_once_in_order(
    reader: TestClient, source: str, sort: str, key: str
) -> None:
    found = list(pages(reader, "/v1/anomalies", source=source, sort=sort, limit=7))
    assert [len(page) for page in found] == [7, 7, 7, 7, 2]
    rows = [row for page in found for row in page]
    assert len({row["id"] for row in rows}) == 30
    assert [row[key] for row in rows] == sorted((row[key] for row in rows), reverse=True)


def test_new_anomalies_do_not_shift_the_pages_that_follow(
    reader: TestClient, space: Workspace, source: str
) -> None:
    before = listed(reader, source=source)
    following = pages(reader, "/v1/anomalies", source=source, limit=20)
    first = next(following)
    score(space, source, MONDAY + 3 * DAY, [anomaly(MONDAY + 3 * DAY)])
    assert first + next(following) == before


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"minimum_severity": "critical"}, 6),
        ({"minimum_severity": "high"}, 12),
        ({"minimum_severity": "medium"}, 21),
        ({"from": MONDAY + DAY}, 20),
        ({"from": MONDAY + DAY, "to": MONDAY + DAY + 3 * HOUR}, 3),
        ({"from": MONDAY + DAY, "to": MONDAY + DAY + 3 * HOUR, "sort": "score"}, 3),
        ({"to": MONDAY}, 0),
        ({"session": "session-030400"}, 1),
        ({"q": "ODD at 04"}, 3),
        ({"q": ""}, 30),
        ({"q": "odd%04"}, 0),
        ({"q": "odd_at"}, 0),
        ({"incident": "none"}, 0),
    ],
    ids=str,
)
def test_filters_hold(
    reader: TestClient, source: str, asked: dict[str, Any], expected: int
) -> None:
    assert len(listed(reader, source=source, **asked)) == expected


def test_an_incident_lists_its_anomalies(reader: TestClient, source: str) -> None:
    rows = listed(reader, source=source)
    incident = rows[0]["incident_id"]
    expected = {row["id"] for row in rows if row["incident_id"] == incident}
    assert len(expected) > 1
    assert {row["id"] for row in listed(reader, incident=incident)} == expected


def test_the_list_says_what_the_view_says(
    reader: TestClient, space: Workspace, source: str
) -> None:
    """Who judged a night last, and what is muted, is decided there for all rows at once."""
    newer = [anomaly(MONDAY + DAY, "w1"), anomaly(MONDAY + DAY + HOUR, "w2", kind="new:x")]
    score(space, source, MONDAY + DAY, newer, version="2", later=2 * DAY)
    with space.engine.begin() as conn:
        feedback.give(conn, Subject(source, "w1"), "false", "a test", "ada")
        of_template = sa.text(
            "INSERT INTO loganalyzer.feedback (source, verdict, template_id, first_night, until,"
            " author, reason, login) VALUES (:source, 'expected', '1', :night, :until, 'ada',"
            " 'a test', 'ada')"
        )
        until = MONDAY + 2 * DAY + 5 * HOUR
        conn.execute(of_template, {"source": source, "night": MONDAY, "until": until})
        view = "SELECT window_id, muted_by FROM loganalyzer.current_anomalies WHERE source = :s"
        said = {row.window_id: row.muted_by for row in conn.execute(sa.text(view), {"s": source})}
    told = {row["window_id"]: row["muted_by"] for row in listed(reader, source=source, muted=True)}
    assert told == said
    muted = {window for window, by in said.items() if by is not None}
    assert 0 < len(muted) < len(said)
    assert {row["window_id"] for row in listed(reader, source=source)} == said.keys() - muted


def test_one_is_told_with_the_reasons_and_the_texts_of_its_templates(
    reader: TestClient, space: Workspace
) -> None:
    source = new_source()
    hostile = "<script>alert(1)</script> <*>\u202e"
    found = replace(
        anomaly(MONDAY, "w/1 ä"),
        explanation=[{**MISSING, "template_id": f"{source}-ab", "followed_by": f"{source}-cd"}],
        lines=[{"object_key": "a.log", "line_number": 3}],
        sequence=[f"{source}-ab", "gone"],
    )
    template = sa.text(
        "INSERT INTO loganalyzer.template_catalogue (template_id, source, text, body, version) "
        "VALUES (:id, :source, :text, :text, 1)"
    )
    with scored(space, source, [[found]]):
        with space.engine.begin() as conn:
            feedback.give(conn, Subject(source, "w/1 ä"), "true", "a test", "ada")
            for key, text in (("ab", hostile), ("cd", "closed")):
                conn.execute(template, {"id": f"{source}-{key}", "source": source, "text": text})
        [row] = listed(reader, source=source)
        told = reader.get(f"/v1/anomalies/{row['id']}").json()
    assert told.items() >= row.items()
    [finding] = told["explanation"]
    assert (finding["kind"], finding["share"]) == ("missing", 0.75)
    assert (finding["text"], finding["followed_by_text"]) == (hostile, "closed")
    assert told["templates"] == {f"{source}-ab": hostile, f"{source}-cd": "closed"}
    assert told["lines"] == [{"object_key": "a.log", "line_number": 3}]
    assert told["is_anomalous"] is True


@pytest.mark.parametrize(
    "anomaly_id",
    ["x", "é", "W10", "WyJhIiwiMjAyNi0wMy0wMlQwMDowMDowMFoiLCJ3Il0", "WyJcdTAwMDAiLDEsInciXQ"],
)
def test_what_names_no_anomaly_is_not_found(reader: TestClient, anomaly_id: str) -> None:
    for path in ("", "/similar", "/lines"):
        answer = reader.get(f"/v1/anomalies/{anomaly_id}{path}")
        assert answer.status_code == 404, answer.text
        assert "GET /v1/anomalies" in answer.json()["detail"]


def test_what_a_caller_has_already_is_not_sent_again(
    reader: TestClient, space: Workspace, source: str
) -> None:
    row = listed(reader, source=source)[0]
    path = f"/v1/anomalies/{row['id']}"
    etag = reader.get(path).headers["etag"]
    known = reader.get(path, headers={"If-None-Match": f'"other", {etag}'})
    assert (known.status_code, known.content) == (304, b"")
    with space.engine.begin() as conn:
        feedback.give(conn, Subject(source, row["window_id"]), "false", "a test", "ada")
    changed = reader.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["muted_by"]


def test_the_past_ones_that_are_alike_come_with_what_people_said(
    reader: TestClient, space: Workspace, source: str
) -> None:
    rows = {row["time"]: row for row in listed(reader, source=source)}
    newest = rows["2026-03-04T04:00:00Z"]
    like = rows["2026-03-03T04:00:00Z"]
    with space.engine.begin() as conn:
        feedback.give(conn, Subject(source, like["window_id"]), "true", "a test", "ada")
    items = reader.get(f"/v1/anomalies/{newest['id']}/similar", params={"limit": 3}).json()["items"]
    assert [item["id"] for item in items[:2]] == [like["id"], rows["2026-03-02T04:00:00Z"]["id"]]
    assert [item["is_anomalous"] for item in items] == [True, None, None]
    assert items[0]["similarity"] == 1.0 > items[2]["similarity"]


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "2026-03-02T00:00:00"},
        {"minimum_severity": "worst"},
        {"q": "x" * 201},
        {"source": "a\0b"},
        {"cursor": "WzEsMiwzXQ"},
        {"cursor": "é"},
        {"limit": 501},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(reader: TestClient, asked: dict[str, Any]) -> None:
    answer = reader.get("/v1/anomalies", params=asked)
    assert (answer.status_code, answer.json()["status"]) == (422, 422)


def test_a_window_that_goes_on_past_midnight_is_listed_in_its_night(
    reader: TestClient, space: Workspace
) -> None:
    source = new_source()
    late = anomaly(MONDAY - timedelta(minutes=3))
    score(space, source, MONDAY, [late])
    try:
        [row] = listed(reader, source=source, to=MONDAY)
        assert row["night"] == "2026-03-02T00:00:00Z"
    finally:
        forget(space, source)
