"""How often templates occur, in the view and around a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import Connection, ledger
from include.database.ledger import LakePart, LedgerEntry, TemplateCount
from include.database.template_usage import UseAround, usage, usage_around

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def publish(
    conn: Connection, key: str, counts: dict[str, int], first: datetime, last: datetime
) -> None:
    events = sum(counts.values())
    entry = LedgerEntry(
        key, "disk", key, "1", 1, events, events, 0, 0, {}, {}, first, last, "batch"
    )
    seen = [TemplateCount(key, each, n, first, last, 3) for each, n in counts.items()]
    ledger.commit_batch(conn, [entry], [LakePart(f"{key}.parquet", key, "disk", NINE, 1)], seen)


@pytest.fixture
def templates(conn: Connection) -> None:
    """Two that live, and one that was merged into the first by way of another."""
    conn.execute(
        sa.text(
            "INSERT INTO loganalyzer.template_catalogue"
            " (template_id, source, text, body, version, replaced_by) VALUES"
            " ('t1', 'disk', 'Disk <*> full', '{}', 1, NULL), ('t2', 'disk', 'Bye', '{}', 1, NULL),"
            " ('old', 'disk', 'Disk a full', '{}', 1, 'older'),"
            " ('older', 'disk', 'Disk b full', '{}', 1, 't1')"
        )
    )


@pytest.mark.usefixtures("templates")
def test_counts_follow_redirects_and_rates_are_per_day_of_the_source(conn: Connection) -> None:
    publish(conn, "a.log", {"old": 10, "t2": 1}, NINE, NINE + DAY)
    publish(conn, "b.log", {"t1": 20, "older": 10}, NINE + DAY, NINE + 4 * DAY)
    rows = usage(conn, "disk", None)
    assert [(row["template_id"], row["count"], row["per_day"]) for row in rows] == [
        ("t1", 40, 10.0),
        ("t2", 1, 0.25),
    ]
    assert (rows[0]["first_seen_utc"], rows[0]["last_seen_utc"]) == (NINE, NINE + 4 * DAY)
    assert rows[0]["example"] == "a.log:3"


@pytest.mark.usefixtures("templates")
def test_less_than_a_day_counts_as_one(conn: Connection) -> None:
    publish(conn, "a.log", {"t1": 10}, NINE, NINE + DAY / 24)
    assert [row["per_day"] for row in usage(conn, "disk", None)] == [10, 0]


@pytest.mark.usefixtures("templates")
def test_new_is_what_began_no_earlier(conn: Connection) -> None:
    publish(conn, "a.log", {"t1": 10}, NINE, NINE + DAY)
    publish(conn, "b.log", {"t1": 1, "t2": 1}, NINE + DAY, NINE + 2 * DAY)
    assert [row["template_id"] for row in usage(conn, None, NINE + DAY)] == ["t2"]
    assert usage(conn, "other", None) == []


@pytest.mark.usefixtures("templates")
def test_events_are_split_at_the_moment(conn: Connection) -> None:
    publish(conn, "a.log", {"old": 10}, NINE, NINE + DAY / 2)
    publish(conn, "b.log", {"t1": 100, "t2": 2}, NINE + DAY / 2, NINE + DAY * 3 / 2)
    publish(conn, "c.log", {"t1": 5}, NINE + 2 * DAY, NINE + 3 * DAY)
    found = sorted(usage_around(conn, "disk", NINE + DAY), key=lambda use: use.template_id)
    assert found == [UseAround("t1", "Disk <*> full", 60, 55), UseAround("t2", "Bye", 1, 1)]
    on_the_edge = usage_around(conn, "disk", NINE + DAY * 3 / 2)
    assert {use.template_id: use.since for use in on_the_edge} == {"t1": 6, "t2": 1}
