"""The ledger: nothing lost, nothing twice, and only what is published is seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from include.database import Connection, Engine, ledger
from include.database.ledger import LakePart, LedgerEntry, TemplateCount

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def entry(key: str = "a.log", etag: str = "1", source: str = "disk") -> LedgerEntry:
    return LedgerEntry(
        object_id=f"{source}|{key}|{etag}",
        source=source,
        object_key=key,
        etag=etag,
        size_bytes=100,
        lines_read=10,
        events=7,
        lines_continued=2,
        lines_quarantined=1,
        quarantine_reasons={"no time": 1},
        severities={"INFO": 6, "ERROR": 1},
        first_event_utc=NINE,
        last_event_utc=NINE + HOUR,
        batch_id="batch",
    )


def part(of: LedgerEntry, hour: datetime = NINE, events: int = 7) -> LakePart:
    return LakePart(f"{of.object_id}/{hour:%H}.parquet", of.object_id, of.source, hour, events)


def count(of: LedgerEntry, template: str = "t1", events: int = 7) -> TemplateCount:
    return TemplateCount(of.object_id, template, events, NINE, NINE + HOUR, 3)


def publish(conn: Connection, *entries: LedgerEntry) -> None:
    ledger.commit_batch(conn, entries, [part(e) for e in entries], [count(e) for e in entries])


def visible(conn: Connection, source: str = "disk") -> list[str]:
    return list(ledger.parts_between(conn, source, NINE, NINE + HOUR))


def everything(conn: Connection) -> list[list[object]]:
    """All rows, each with the transaction and the place in it that wrote it."""
    return [
        list(conn.execute(sa.text(f"SELECT ctid::text, * FROM loganalyzer.{table} ORDER BY 1")))
        for table in ("events_ledger", "lake_parts", "template_counts")
    ]


def test_a_batch_is_seen_once_committed(conn: Connection) -> None:
    first = entry()
    publish(conn, first)
    assert ledger.known_objects(conn, "disk") == {("a.log", "1")}
    assert visible(conn) == [part(first).path]
    assert ledger.known_objects(conn, "other") == set()


def test_committing_again_changes_no_row(conn: Connection) -> None:
    publish(conn, entry("a.log"), entry("b.log"))
    before = everything(conn)
    publish(conn, entry("a.log"), entry("b.log"))
    assert everything(conn) == before


def test_a_newer_version_takes_the_place_of_the_older(conn: Connection) -> None:
    old, new = entry(etag="1"), entry(etag="2")
    publish(conn, old, entry("b.log"))
    publish(conn, new)
    assert visible(conn) == [part(new).path, part(entry("b.log")).path]
    assert ledger.superseded_parts(conn, "disk") == [part(old).path]
    assert ledger.known_objects(conn, "disk") == {("a.log", "1"), ("a.log", "2"), ("b.log", "1")}


def test_a_late_retry_of_the_older_version_does_not_bring_it_back(conn: Connection) -> None:
    publish(conn, entry(etag="1"))
    publish(conn, entry(etag="2"))
    publish(conn, entry(etag="1"))
    assert visible(conn) == [part(entry(etag="2")).path]


def test_keys_of_other_sources_are_left_alone(conn: Connection) -> None:
    publish(conn, entry(source="disk"))
    publish(conn, entry(etag="2", source="net"))
    assert visible(conn, "disk") == [part(entry()).path]


def test_what_is_set_aside_is_known_but_not_seen(conn: Connection) -> None:
    good, bad = entry(etag="1"), entry(etag="2")
    publish(conn, good)
    ledger.set_aside(conn, [bad], {bad.object_id: "half of its lines do not parse"})
    assert ("a.log", "2") in ledger.known_objects(conn, "disk")
    assert visible(conn) == [part(good).path]
    state = {row["state"]: row["objects"] for row in ledger.totals(conn)}
    assert state == {"ingested": 1, "set_aside": 1}


def test_what_was_set_aside_can_be_forgotten_and_read_again(conn: Connection) -> None:
    bad = entry()
    ledger.set_aside(conn, [bad], {bad.object_id: "the store was down"})
    assert ledger.forget_set_aside(conn, "disk") == 1
    publish(conn, bad)
    assert visible(conn) == [part(bad).path]


def test_an_account_that_does_not_add_up_is_refused(conn: Connection) -> None:
    with pytest.raises(IntegrityError, match="nothing_lost"):
        publish(conn, replace(entry(), lines_read=11))


def test_two_versions_of_a_key_are_never_both_seen(conn: Connection) -> None:
    with pytest.raises(IntegrityError, match="uq_events_ledger_visible"):
        publish(conn, entry(etag="1"), entry(etag="2"))


def test_a_batch_of_thousands_of_objects(conn: Connection) -> None:
    many = [entry(f"{number}.log") for number in range(2500)]
    publish(conn, *many)
    publish(conn, *(replace(e, etag="2", object_id=f"{e.object_id}/2") for e in many))
    assert len(visible(conn)) == len(ledger.superseded_parts(conn, "disk")) == 2500


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        pytest.param(NINE, NINE + HOUR, [9], id="the end is not included"),
        pytest.param(NINE - HOUR, NINE, [8], id="nor is what starts at the end"),
        pytest.param(NINE + HOUR / 2, NINE + HOUR, [9], id="an hour that began before the start"),
        pytest.param(NINE, NINE + HOUR * 1.5, [9, 10], id="an hour that goes on after the end"),
        pytest.param(NINE + 5 * HOUR, NINE + 9 * HOUR, [], id="nothing there"),
    ],
)
def test_parts_are_found_by_hour(
    conn: Connection, start: datetime, end: datetime, hours: list[int]
) -> None:
    one = entry()
    parts = [part(one, NINE + number * HOUR) for number in (-1, 0, 1)]
    ledger.commit_batch(conn, [one], parts, [])
    assert ledger.parts_between(conn, "disk", start, end) == {
        f"{one.object_id}/{hour:02}.parquet": ["a.log"] for hour in hours
    }


def test_of_a_part_that_objects_share_only_the_visible_ones_are_seen(conn: Connection) -> None:
    def shared(of: LedgerEntry) -> LakePart:
        return replace(part(of), path="shared.parquet")

    one, other = entry("a.log"), entry("b.log")
    ledger.commit_batch(conn, [one, other], [shared(one), shared(other)], [])
    window = (NINE, NINE + HOUR)
    assert ledger.parts_between(conn, "disk", *window) == {"shared.parquet": ["a.log", "b.log"]}
    assert ledger.parts_of_objects(conn, "disk", {"b.log"}) == {"shared.parquet": ["b.log"]}
    publish(conn, entry("a.log", etag="2"))
    assert ledger.parts_between(conn, "disk", *window)["shared.parquet"] == ["b.log"]
    assert ledger.superseded_parts(conn, "disk") == []
    publish(conn, entry("b.log", etag="2"))
    assert ledger.superseded_parts(conn, "disk") == ["shared.parquet"]


def test_figures_count_only_what_is_seen(conn: Connection) -> None:
    old, new, other = entry(etag="1"), entry(etag="2"), entry("b.log")
    ledger.commit_batch(conn, [old], [part(old, events=100)], [count(old, events=100)])
    ledger.commit_batch(
        conn,
        [new, other],
        [part(new, events=4), part(new, NINE + HOUR, events=3), part(other)],
        [count(new), count(other)],
    )
    window = (NINE, NINE + 2 * HOUR)
    assert ledger.hourly_volumes(conn, "disk", *window) == {NINE: 11, NINE + HOUR: 3}
    assert ledger.object_volumes(conn, "disk", *window) == {NINE: 5.5, NINE + HOUR: 3}
    assert ledger.severity_counts(conn, "disk") == {"INFO": 12, "ERROR": 2}
    assert ledger.span_of_events(conn, "disk") == (NINE, NINE + HOUR)
    assert ledger.span_of_events(conn, "other") is None


def test_template_usage_follows_what_is_seen(conn: Connection) -> None:
    conn.execute(
        sa.text(
            "INSERT INTO loganalyzer.template_catalogue (template_id, source, text, body, version) "
            "VALUES ('t1', 'disk', 'Disk <*> full', '{}', 1), ('t2', 'disk', 'Bye', '{}', 1)"
        )
    )
    old, new = entry(etag="1"), entry(etag="2")
    ledger.commit_batch(conn, [old], [part(old)], [count(old, "t1"), count(old, "t2")])
    publish(conn, new)
    publish(conn, new)
    usage = conn.execute(
        sa.text("SELECT template_id, count, example FROM loganalyzer.templates ORDER BY 1")
    )
    assert usage.all() == [("t1", 7, "a.log:3"), ("t2", 0, None)]


def test_tasks_that_commit_the_same_objects_at_once_agree(engine: Engine) -> None:
    entries = [entry(f"{number}.log", source="at_once") for number in range(50)]

    def commit(turn: int) -> None:
        ordered = entries if turn % 2 else entries[::-1]
        with engine.begin() as conn:
            publish(conn, *ordered)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(commit, range(8)))
    with engine.connect() as conn:
        assert len(visible(conn, "at_once")) == 50


def test_a_killed_commit_leaves_nothing(engine: Engine) -> None:
    one = entry(source="killed")
    with engine.connect() as conn:
        publish(conn, one)
        conn.invalidate()
    with engine.connect() as conn:
        assert ledger.known_objects(conn, "killed") == set()
        assert visible(conn, "killed") == []
