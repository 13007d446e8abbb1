"""Sources over the API: what came in, hour by hour, what nights rest on, and what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.database import coverage, feedback, ledger, monitoring
from include.database.coverage import Judged
from include.database.feedback import Subject
from include.database.ledger import LakePart, LedgerEntry
from include.database.monitoring import Measurement
from include.sources import LogSource
from include.workspace import Workspace
from tests.nights import DAY, HOUR, MONDAY, anomaly, forget, new_source, score
from tests.services.api.conftest import Login
from tests.services.api.test_anomalies import pages

WINDOWING = {"kind": "time", "size": "1h", "step": "1h"}


def publish(space: Workspace, source: str, hours: dict[datetime, int]) -> None:
    """An object with events of these hours; two of its lines did not parse."""
    key, events = uuid4().hex, sum(hours.values())
    first, last = min(hours), max(hours)
    entry = LedgerEntry(
        key, source, key, "1", 1, events + 2, events, 0, 2, {"bad": 2}, {}, first, last, "batch"
    )
    parts = [
        LakePart(f"{key}-{hour:%d%H}", key, source, hour, count) for hour, count in hours.items()
    ]
    with space.engine.begin() as conn:
        ledger.commit_batch(conn, [entry], parts, [])


@pytest.fixture
def source(space: Workspace) -> Iterator[str]:
    name = new_source()
    document = {"name": name, "format": "log4j", "windowing": WINDOWING, "redact": ["email"]}
    space.sources[name] = LogSource.model_validate(document)
    publish(space, name, {MONDAY: 5, MONDAY + HOUR: 7, MONDAY + 3 * HOUR: 1})
    yield name
    del space.sources[name]
    with space.engine.begin() as conn:
        for table in ("coverage", "monitoring", "lake_parts", "events_ledger"):
            gone = sa.text(f"DELETE FROM loganalyzer.{table} WHERE source = :source")
            conn.execute(gone, {"source": name})
    forget(space, name)


@pytest.fixture
def reader(login: Login) -> TestClient:
    return login("viewer")


def rates(reader: TestClient, source: str, start: object, end: object) -> Any:
    return reader.get(f"/v1/sources/{source}/rates", params={"from": start, "to": end})


def test_a_source_is_told_with_what_came_in(reader: TestClient, source: str) -> None:
    told = reader.get(f"/v1/sources/{source}").json()
    assert "redact:" in told.pop("description")
    assert told == {
        "source": source,
        "has_file": True,
        "format": "log4j",
        "windowing": "time",
        "prefix": f"{source}/",
        "first_event_utc": "2026-03-02T00:00:00Z",
        "last_event_utc": "2026-03-02T03:00:00Z",
        "last_ingest_at": told["last_ingest_at"],
        "templates": 0,
        "events": 13,
        "lines_read": 15,
        "lines_quarantined": 2,
    }
    assert told in reader.get("/v1/sources").json()["items"]


def test_a_source_is_told_before_anything_came_and_after_its_file_is_gone(
    reader: TestClient, space: Workspace, source: str
) -> None:
    known = space.sources[source]
    space.sources["no_events_yet"] = known.model_copy(update={"name": "no_events_yet"})
    assert reader.get("/v1/sources/no_events_yet").json()["events"] == 0
    del space.sources["no_events_yet"], space.sources[source]
    told = reader.get(f"/v1/sources/{source}").json()
    space.sources[source] = known
    assert (told["has_file"], told["format"], told["events"]) == (False, None, 13)


def test_an_unknown_source_is_not_found(reader: TestClient) -> None:
    assert reader.get("/v1/sources/no-such").status_code == 404
    assert rates(reader, "no-such", MONDAY, MONDAY + DAY).status_code == 404


def test_rates_are_those_of_the_hours_with_the_anomalies_that_are_not_muted(
    reader: TestClient, space: Workspace, source: str
) -> None:
    found = [
        anomaly(MONDAY + HOUR + timedelta(minutes=10), "w1"),
        anomaly(MONDAY + HOUR + timedelta(minutes=50), "w2"),
        anomaly(MONDAY + 2 * HOUR, "w3", kind="rate:silence"),
        anomaly(MONDAY + 3 * HOUR, "w4", kind="new:muted"),
    ]
    score(space, source, MONDAY, found)
    with space.engine.begin() as conn:
        feedback.give(conn, Subject(source, "w4"), "false", "a test", "ada")
    items = rates(reader, source, MONDAY, MONDAY + 3 * HOUR).json()["items"]
    assert [(each["hour_utc"][11:13], each["events"], each["anomalies"]) for each in items] == [
        ("00", 5, 0),
        ("01", 7, 2),
        ("02", 0, 1),
    ]
    [last] = rates(reader, source, MONDAY + 3 * HOUR, MONDAY + DAY).json()["items"]
    assert (last["events"], last["anomalies"]) == (1, 0)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (MONDAY, MONDAY),
        (MONDAY + DAY, MONDAY),
        (MONDAY, MONDAY + 62 * DAY + HOUR),
        ("0001-01-01T00:00:00+01:00", MONDAY),
        ("2026-03-02", "2026-03-03"),
    ],
    ids=str,
)
def test_no_more_than_two_months_are_told_at_once(
    reader: TestClient, source: str, start: object, end: object
) -> None:
    assert rates(reader, source, start, end).status_code == 422


def test_the_last_hours_of_all_time_are_no_error(reader: TestClient, source: str) -> None:
    told = rates(reader, source, "9999-12-31T00:00:00Z", "9999-12-31T23:59:59Z")
    assert told.json() == {"items": []}


def test_coverage_tells_what_each_night_rests_on(
    reader: TestClient, space: Workspace, source: str
) -> None:
    nights = [MONDAY + day * DAY for day in range(3)]
    with space.engine.begin() as conn:
        for start in nights:
            judged = None if start == nights[2] else Judged(7, 2, 0.5, "seen")
            coverage.record(conn, source, start, start + DAY, start + DAY, judged)
    asked = {"source": source, "limit": 2}
    rows = [row for page in pages(reader, "/v1/coverage", **asked) for row in page]
    assert [row["interval_start"][:10] for row in rows] == [
        "2026-03-04",
        "2026-03-03",
        "2026-03-02",
    ]
    assert [row["state"] for row in rows] == ["not_scored", "scored", "scored"]
    assert (rows[2]["objects_arrived"], rows[2]["windows"], rows[2]["anomalies"]) == (1, 7, 2)
    within = {"source": source, "from": nights[1], "to": nights[2]}
    [only] = reader.get("/v1/coverage", params=within).json()["items"]
    assert only == rows[1]


def test_monitoring_tells_what_is_past_its_bound(
    reader: TestClient, space: Workspace, source: str
) -> None:
    def measured(day: int, name: str, value: float | None) -> Measurement:
        at = (MONDAY + day * DAY).date()
        is_past = value is not None and value > 1
        return Measurement(source, at, name, value, 1.0, is_past, "1", 100, f"{value} of 100")

    with space.engine.begin() as conn:
        for day, values in enumerate([{"volume": 0.5}, {"volume": 2.0, "score_drift": None}]):
            rows = [measured(day, name, value) for name, value in values.items()]
            monitoring.replace_day(conn, source, rows[0].day, rows)
    found = [
        row for page in pages(reader, "/v1/monitoring", source=source, limit=2) for row in page
    ]
    assert [(row["day"], row["measure"], row["value"], row["is_past"]) for row in found] == [
        ("2026-03-03", "volume", 2.0, True),
        ("2026-03-03", "score_drift", None, False),
        ("2026-03-02", "volume", 0.5, False),
    ]
    first = reader.get("/v1/monitoring", params={"source": source, "to": MONDAY + DAY}).json()
    assert first["items"] == found[2:]


def test_a_source_whose_file_has_come_since_the_start_is_known_unless_it_cannot_be_read(
    login: Login, tmp_path: Path
) -> None:
    def names() -> set[str]:
        return {each["source"] for each in login().get("/v1/sources").json()["items"]}

    assert "newcomer" not in names()
    path = tmp_path / "newcomer.yaml"
    path.write_text("{name: newcomer, format: log4j, windowing: {kind: time, size: 5m, step: 5m}}")
    assert "newcomer" in names()
    path.write_text("{name: newcomer, format: none}")
    assert "newcomer" not in names()  # as at the start
    path.write_bytes(b"name: \xff")
    assert "newcomer" not in names()
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    assert "newcomer" not in names()
