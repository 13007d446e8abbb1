"""Coverage: no logs and no anomalies are told apart, and late lines are noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.database import Connection, coverage, ledger, validations
from include.database.coverage import Judged
from include.database.ledger import LakePart, LedgerEntry
from include.database.validations import ValidationRow

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NIGHT = (MONDAY, MONDAY + DAY)
MORNING = MONDAY + DAY + 3 * HOUR
JUDGED = Judged(windows=100, anomalies=2, unseen_share=0.25, objects_seen="")


@pytest.fixture
def put(conn: Connection) -> Callable[..., LedgerEntry]:
    """An object of the ledger with seven events in an hour, ingested at a time."""

    def put_object(key: str, hour: datetime, at: datetime, **said: Any) -> LedgerEntry:
        entry = LedgerEntry(
            **{
                "object_id": f"{key} {at}",
                "source": "disk",
                "object_key": key,
                "etag": str(at),
                "size_bytes": 100,
                "lines_read": 10,
                "events": 7,
                "lines_continued": 2,
                "lines_quarantined": 1,
                "quarantine_reasons": {"no time": 1},
                "severities": {},
                "first_event_utc": hour,
                "last_event_utc": hour,
                "batch_id": "batch",
                **said,
            }
        )
        path = f"{entry.object_id}/part"
        ledger.commit_batch(conn, [entry], [LakePart(path, entry.object_id, "disk", hour, 7)], [])
        conn.execute(
            sa.text("UPDATE loganalyzer.events_ledger SET ingested_at = :at WHERE object_id = :id"),
            {"at": at, "id": entry.object_id},
        )
        return entry

    return put_object


def scored(conn: Connection, judged: Judged = JUDGED, at: datetime = MORNING) -> dict[str, Any]:
    seen = coverage.objects_between(conn, "disk", *NIGHT)
    now = Judged(judged.windows, judged.anomalies, judged.unseen_share, seen)
    return coverage.record(conn, "disk", *NIGHT, at, now)


def test_no_logs_and_no_anomalies_are_told_apart(
    conn: Connection, put: Callable[..., LedgerEntry]
) -> None:
    silent = scored(conn, Judged(0, 0, None, ""))
    assert silent["reason"] == "no logs arrived; no window closed"
    put("a.log", MONDAY + HOUR, MONDAY + 2 * HOUR)
    quiet = scored(conn, Judged(100, 0, 0.0, ""))
    assert quiet["reason"] == (
        "1 objects arrived; 1 of 10 lines did not parse; 0 of 100 windows are anomalous"
    )
    assert (quiet["objects_arrived"], quiet["lines_read"], quiet["events"]) == (1, 10, 7)
    assert quiet["state"] == "scored"


def test_what_is_only_planned_is_not_scored_and_what_was_scored_stays_so(conn: Connection) -> None:
    planned = coverage.record(conn, "disk", *NIGHT, MORNING, None)
    assert (planned["state"], planned["first_scored_at"]) == ("not_scored", None)
    assert planned["reason"] == "no logs arrived; not scored"
    first = scored(conn)
    again = coverage.record(conn, "disk", *NIGHT, MORNING + DAY, None)
    assert again == first


def test_expected_is_what_other_days_had(conn: Connection, put: Callable[..., LedgerEntry]) -> None:
    for back in range(1, 7):
        for n in range(3):
            put(f"{back}-{n}.log", MONDAY - back * DAY + n * HOUR, MONDAY)
    assert scored(conn)["objects_expected"] is None
    put("7.log", MONDAY - 7 * DAY, MONDAY)
    row = scored(conn)
    assert row["objects_expected"] == 3
    assert row["reason"].startswith("no logs arrived where 3 are usual")


def test_late_objects_and_newer_versions_touch_the_night(
    conn: Connection, put: Callable[..., LedgerEntry]
) -> None:
    def touched(lookback: timedelta = timedelta(0)) -> list[tuple[datetime, datetime]]:
        return coverage.nights_touched(conn, "disk", MONDAY - DAY, MONDAY + DAY, lookback)

    put("a.log", MONDAY + HOUR, MONDAY + 2 * HOUR)
    scored(conn)
    assert touched() == []
    put("before.log", MONDAY - 5 * HOUR, MORNING + HOUR)
    assert touched() == []
    put("late.log", MONDAY + 2 * HOUR, MORNING + HOUR)
    assert touched() == [NIGHT]
    row = scored(conn, at=MORNING + DAY)
    assert (row["objects_arrived"], row["objects_late"]) == (2, 1)
    assert row["first_scored_at"] == MORNING
    assert touched() == []
    put("a.log", MONDAY + HOUR, MORNING + 2 * HOUR)
    assert touched() == [NIGHT]


def test_windows_that_began_the_day_before_are_touched_from_there(
    conn: Connection, put: Callable[..., LedgerEntry]
) -> None:
    lookback = 6 * HOUR
    seen = coverage.objects_between(conn, "disk", MONDAY - lookback, MONDAY + DAY)
    coverage.record(conn, "disk", *NIGHT, MORNING, Judged(1, 0, None, seen))
    put("before.log", MONDAY - 5 * HOUR, MORNING + HOUR)
    touched = coverage.nights_touched(conn, "disk", MONDAY, MONDAY + DAY, lookback)
    assert touched == [NIGHT]


def test_the_checks_of_its_objects_are_its_verdict(
    conn: Connection, put: Callable[..., LedgerEntry]
) -> None:
    entry = put("a.log", MONDAY + HOUR, MONDAY + 2 * HOUR)
    assert scored(conn)["verdict"] == "unchecked"

    def check(passed: bool) -> None:
        row = ValidationRow(
            "disk", "batch", entry.object_id, "a.log", "events", "volume", "warning", passed, ""
        )
        validations.record(conn, [row])

    check(True)
    assert scored(conn)["verdict"] == "passed"
    check(False)
    assert scored(conn)["verdict"] == "warned"


def test_a_night_with_refused_objects_is_partly_scored(
    conn: Connection, put: Callable[..., LedgerEntry]
) -> None:
    entry = put("a.log", MONDAY + HOUR, MONDAY + 2 * HOUR)
    bad = replace(entry, object_id="bad", object_key="bad.log")
    ledger.set_aside(conn, [bad], {"bad": "half of it does not parse"})
    row = scored(conn)
    assert (row["state"], row["verdict"], row["objects_set_aside"]) == ("partly", "refused", 1)
    assert "1 set aside: see `validations`" in row["reason"]


def test_recording_the_same_again_changes_no_row(
    conn: Connection, put: Callable[..., LedgerEntry]
) -> None:
    put("a.log", MONDAY + HOUR, MONDAY + 2 * HOUR)
    place = sa.text("SELECT ctid::text, * FROM loganalyzer.coverage")
    scored(conn)
    before = conn.execute(place).all()
    scored(conn, at=MORNING + DAY)
    assert conn.execute(place).all() == before


def test_the_newest_nights_are_listed_first(conn: Connection) -> None:
    for n in range(3):
        start = MONDAY + n * DAY
        coverage.record(conn, "disk", start, start + DAY, start + 2 * DAY, None)
    listed = [row["interval_start"] for row in coverage.nights(conn, "disk", limit=2)]
    assert listed == [MONDAY + 2 * DAY, MONDAY + DAY]
