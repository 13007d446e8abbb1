"""What is measured of each day, the labels of alerts, and when a retrain was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import Connection, anomalies, labels, ledger, monitoring
from include.database.anomalies import Anomaly, Scoring
from include.database.labels import LabelRow
from include.database.ledger import LakePart, LedgerEntry
from include.database.monitoring import Measurement

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
DRIFT = Measurement(
    "disk", MONDAY.date(), "template_drift", 0.2, 0.1, True, "3", 500, "0.2 from version 3"
)
VOLUME = replace(DRIFT, measure="volume", value=None, is_past=False, model_version=None)


def table(conn: Connection) -> list[tuple[object, ...]]:
    """The rows, each with its place: an update moves a row."""
    rows = conn.execute(
        sa.text("SELECT ctid::text, * FROM loganalyzer.monitoring ORDER BY measure")
    )
    return [tuple(row) for row in rows]


def test_measuring_again_changes_no_row(conn: Connection) -> None:
    monitoring.replace_day(conn, "disk", DRIFT.day, [DRIFT, VOLUME])
    before = table(conn)
    monitoring.replace_day(conn, "disk", DRIFT.day, [VOLUME, DRIFT])
    assert table(conn) == before


def test_what_differs_is_replaced_and_what_is_not_there_any_more_goes(conn: Connection) -> None:
    monitoring.replace_day(conn, "disk", DRIFT.day, [DRIFT, VOLUME])
    monitoring.replace_day(conn, "disk", DRIFT.day, [replace(VOLUME, value=1.5)])
    (row,) = monitoring.latest(conn)
    assert (row["measure"], row["value"]) == ("volume", 1.5)
    monitoring.replace_day(conn, "disk", DRIFT.day, [])
    assert table(conn) == []


def test_the_latest_rows_are_those_of_the_last_day_of_each_source(conn: Connection) -> None:
    tuesday = date(2026, 3, 3)
    for each in (DRIFT, replace(DRIFT, day=tuesday), replace(VOLUME, source="net")):
        monitoring.replace_day(conn, each.source, each.day, [each])
    monitoring.record_request(conn, "disk", MONDAY, DRIFT.day, "drift")
    found = [(r["source"], r["day"], r["retrain_asked_at"]) for r in monitoring.latest(conn)]
    assert found == [("disk", tuesday, MONDAY), ("net", DRIFT.day, None)]
    assert [row["source"] for row in monitoring.latest(conn, "net")] == ["net"]


@pytest.mark.parametrize(
    ("source", "later", "expected"),
    [
        pytest.param("disk", timedelta(0), True, id="the same moment"),
        pytest.param("disk", DAY - timedelta(seconds=1), True, id="a second before a day is over"),
        pytest.param("disk", DAY, False, id="a day later"),
        pytest.param("disk", -2 * DAY, True, id="a run that is late comes after a later one"),
        pytest.param("net", timedelta(0), False, id="another source"),
    ],
)
def test_a_request_stands_for_a_day(
    conn: Connection, source: str, later: timedelta, expected: bool
) -> None:
    for _ in range(2):
        monitoring.record_request(conn, "disk", MONDAY, DRIFT.day, "drift")
    assert monitoring.is_asked(conn, source, MONDAY + later, within=DAY) == expected


def test_the_lines_of_a_day_are_those_of_visible_objects_with_events_of_it(
    conn: Connection,
) -> None:
    def commit(key: str, etag: str, hour: datetime, quarantined: int) -> None:
        read = 10 + quarantined
        counts = (1, read, 10, 0, quarantined, {}, {}, hour, hour)
        entry = LedgerEntry(key + etag, "disk", key, etag, *counts, "batch")
        ledger.commit_batch(conn, [entry], [LakePart(key + etag, key + etag, "disk", hour, 10)], [])

    commit("a.log", "1", MONDAY, 5)
    commit("a.log", "2", MONDAY, 1)
    commit("b.log", "1", MONDAY + 23 * HOUR, 2)
    commit("c.log", "1", MONDAY + DAY, 4)
    assert monitoring.lines_of(conn, "disk", MONDAY, MONDAY + DAY) == (23, 3)
    assert monitoring.lines_of(conn, "net", MONDAY, MONDAY + DAY) == (0, 0)


def flag(conn: Connection, night: datetime, keys: list[str | None], version: str = "3") -> None:
    """Alerts at noon of a night, half an hour long: of sessions, or of a rate where there is no
    key."""
    scoring = Scoring(
        "disk", night, night + DAY, "model", version, 0, "novelty", 100, 1000, len(keys), 3.0, night
    )
    noon = night + 12 * HOUR
    rows = [
        Anomaly(
            window_id=f"{key}@{night}",
            session_key=key,
            window_start=noon,
            window_end=noon + HOUR / 2,
            score=4.0,
            threshold=3.0,
            severity="high",
            reason="odd",
            explanation=[],
            lines=[],
            events=7,
            detector="novelty" if key else "rate",
            signature="new:ab12",
            sequence=[],
        )
        for key in keys
    ]
    anomalies.replace_interval(conn, scoring, rows)


NOON = MONDAY + 12 * HOUR


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param([], (0, 0), id="nobody judged"),
        pytest.param([LabelRow("a", None, None, False)], (1, 1), id="a session that is normal"),
        pytest.param([LabelRow("a", None, None, True)], (1, 0), id="a session that is not"),
        pytest.param([LabelRow("z", None, None, False)], (0, 0), id="another session"),
        pytest.param([LabelRow(None, MONDAY, NOON, False)], (0, 0), id="the time before"),
        pytest.param(
            [LabelRow(None, NOON + HOUR / 4, NOON + HOUR, False)], (2, 2), id="a time that overlaps"
        ),
        pytest.param(
            [LabelRow("a", NOON + HOUR, NOON + 2 * HOUR, False)], (0, 0), id="a later part"
        ),
        pytest.param(
            [LabelRow(None, NOON, NOON + HOUR, False), LabelRow("a", None, None, True)],
            (2, 1),
            id="one says normal and one anomalous",
        ),
    ],
)
def test_alerts_are_judged_by_the_labels_that_speak_of_them(
    conn: Connection, known: list[LabelRow], expected: tuple[int, int]
) -> None:
    flag(conn, MONDAY, ["a", "b", None])
    flag(conn, MONDAY, ["a"], version="2")
    flag(conn, MONDAY - DAY, ["a"])
    labels.import_labels(conn, "disk", known, "ann", "")
    labels.import_labels(conn, "net", [LabelRow("b", None, None, False)], "ann", "")
    found = monitoring.judged_alerts(conn, "disk", "model", "3", MONDAY, MONDAY + DAY)
    assert found == expected
