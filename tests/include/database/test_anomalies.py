"""Anomalies: an interval is written whole, and what is the same is not touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from psycopg2 import DataError

from include.database import Connection, Engine, anomalies
from include.database.anomalies import Anomaly, Scoring

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = [
    "tab\there",
    "two\nlines",
    "carriage\r\nreturn\r",
    "\\.",
    "before\n\\.\nafter",
    "\\N",
    "\\u0000 \\x00",
    "back\\slash\\",
    '"quoted", ""twice""',
    "O'Brien'); DROP TABLE anomalies; --",
    "%s %(name)s {braces} :source $1",
    "",
    " ",
    "NULL",
    "\u0001\u001f\u007f\u2028",
    "Zürich 東京 🔥",
    "x" * 100_000,
]


def scoring(source: str = "disk", start: datetime = MONDAY, version: str = "1") -> Scoring:
    return Scoring(
        source=source,
        interval_start=start,
        interval_end=start + DAY,
        model_name="disk",
        model_version=version,
        catalogue_version=0,
        detector="novelty",
        windows=100,
        events=1000,
        anomalies=3,
        threshold=1 / 3,
        scored_at=start + 2 * DAY,
    )


def anomaly(window: str = "w1", at: datetime = MONDAY, score: float = 0.1 + 0.2) -> Anomaly:
    return Anomaly(
        window_id=window,
        session_key=None,
        window_start=at,
        window_end=at + timedelta(microseconds=1),
        score=score,
        threshold=0.5,
        severity="high",
        reason="never seen: Disk <*> full",
        explanation=[{"kind": "new", "share": 0.5}],
        lines=[{"object_key": "a.log", "line_number": 3}],
        events=7,
        detector="novelty",
        signature="new:ab12",
        sequence=["ab12", "cd34"],
    )


THREE = [anomaly("w1"), anomaly("w2", score=0.9), anomaly("w3", score=0.5)]


def table(conn: Connection, name: str = "anomalies") -> set[tuple[object, ...]]:
    """The rows, each with its place: an update moves a row."""
    rows = conn.execute(sa.text(f"SELECT ctid::text, * FROM loganalyzer.{name}"))
    return {tuple(str(value) for value in row) for row in rows}


def test_what_is_written_is_read_the_oddest_first(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    rows = anomalies.query(conn)
    assert [row["score"] for row in rows] == [0.9, 0.5, 0.1 + 0.2]
    assert rows[2] == {
        "time": MONDAY,
        "source": "disk",
        "session": None,
        "score": 0.1 + 0.2,
        "severity": "high",
        "reason": "never seen: Disk <*> full",
        "events": 7,
        "window_end": MONDAY + timedelta(microseconds=1),
        "lines": [{"object_key": "a.log", "line_number": 3}],
        "detector": "novelty",
        "model_version": "1",
        "night": MONDAY,
    }


def test_writing_the_same_again_changes_no_row(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    before = table(conn), table(conn, "scorings")
    anomalies.replace_interval(conn, replace(scoring(), scored_at=MONDAY + 9 * DAY), THREE[::-1])
    assert (table(conn), table(conn, "scorings")) == before


def test_only_the_rows_that_differ_are_touched(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    before = table(conn)
    later = replace(scoring(), scored_at=MONDAY + 9 * DAY)
    changed = [THREE[0], replace(THREE[1], reason="another"), anomaly("w4")]
    anomalies.replace_interval(conn, later, changed)
    after = table(conn)
    assert len(before & after) == 1
    assert {row[7] for row in after} == {"w1", "w2", "w4"}
    assert anomalies.scorings(conn, "disk")[0]["scored_at"] == later.scored_at


@pytest.mark.parametrize(
    "change",
    [
        {"session_key": "s"},
        {"score": 0.31},
        {"severity": "low"},
        {"explanation": []},
        {"lines": []},
        {"events": 8},
        {"window_end": MONDAY + DAY},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_difference_in_any_value_is_written(conn: Connection, change: dict[str, object]) -> None:
    anomalies.replace_interval(conn, scoring(), [anomaly()])
    before = table(conn)
    anomalies.replace_interval(conn, scoring(), [replace(anomaly(), **change)])  # type: ignore[arg-type]
    assert not before & table(conn)


def test_a_night_without_anomalies_is_on_record(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    anomalies.replace_interval(conn, replace(scoring(), anomalies=0), [])
    assert anomalies.query(conn) == []
    [row] = anomalies.scorings(conn)
    assert (row["windows"], row["anomalies"]) == (100, 0)


def test_other_intervals_and_versions_are_left_alone(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    before = table(conn)
    anomalies.replace_interval(conn, scoring(start=MONDAY + DAY), [])
    anomalies.replace_interval(conn, scoring(version="2"), [])
    anomalies.replace_interval(conn, scoring(source="net"), [])
    assert table(conn) == before


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_text_comes_back_as_it_was(conn: Connection, text: str) -> None:
    written = replace(
        anomaly(window=f"w{text}"),
        session_key=text,
        reason=text,
        explanation=[{"text": text}],
        lines=[{"object_key": text, "line_number": 1}],
    )
    anomalies.replace_interval(conn, scoring(), [written, anomaly("after")])
    rows = {row["session"]: row for row in anomalies.query(conn)}
    assert rows.keys() == {text, None}
    assert (rows[text]["reason"], rows[text]["lines"]) == (text, written.lines)
    before = table(conn)
    anomalies.replace_interval(conn, scoring(), [written, anomaly("after")])
    assert table(conn) == before


@pytest.mark.parametrize(
    "change",
    [{"reason": "a\0b"}, {"lines": [{"object_key": "a\0b", "line_number": 1}]}],
    ids=["in a text", "in a document"],
)
def test_a_nul_is_refused_and_nothing_is_kept(conn: Connection, change: dict[str, object]) -> None:
    hostile = replace(anomaly(), **change)  # type: ignore[arg-type]
    with pytest.raises(DataError), conn.begin_nested():
        anomalies.replace_interval(conn, scoring(), [anomaly("w0"), hostile])
    assert anomalies.scorings(conn) == []


def test_two_that_write_the_same_interval_do_so_one_after_the_other(engine: Engine) -> None:
    sets = [[anomaly(f"w{n}") for n in range(50)], [anomaly(f"w{n}") for n in range(25, 75)]]

    def write(turn: int) -> None:
        with engine.begin() as conn:
            anomalies.replace_interval(conn, scoring("at_once"), sets[turn % 2])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    with engine.connect() as conn:
        found = {
            row
            for row in conn.scalars(
                sa.text("SELECT window_id FROM loganalyzer.anomalies WHERE source = 'at_once'")
            )
        }
    assert found in [{each.window_id for each in one} for one in sets]


def test_the_last_night_is_that_of_each_source(conn: Connection) -> None:
    for start in (MONDAY, MONDAY + DAY):
        anomalies.replace_interval(conn, scoring(start=start), [anomaly(at=start)])
    anomalies.replace_interval(conn, scoring("net"), [anomaly(at=MONDAY)])
    quiet = replace(scoring("net", MONDAY + DAY), windows=0, anomalies=0)
    anomalies.replace_interval(conn, quiet, [])
    nights = {row["source"]: row["night"] for row in anomalies.query(conn)}
    assert nights == {"disk": MONDAY + DAY, "net": MONDAY}


def test_the_newest_scoring_of_a_night_counts(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(version="1"), THREE)
    newer = replace(scoring(version="2"), scored_at=MONDAY + 9 * DAY)
    anomalies.replace_interval(conn, newer, [anomaly("w9", score=0.7)])
    for rows in (anomalies.query(conn), anomalies.query(conn, first_day=MONDAY.date())):
        assert [(row["model_version"], row["score"]) for row in rows] == [("2", 0.7)]


def test_a_model_that_judges_a_night_again_counts_from_then_on(conn: Connection) -> None:
    one, other = scoring(version="1"), scoring(version="2")
    anomalies.replace_interval(conn, one, [anomaly("w1")])
    later = replace(other, scored_at=one.scored_at + DAY)
    anomalies.replace_interval(conn, later, [anomaly("w2")])
    anomalies.replace_interval(
        conn, replace(one, scored_at=one.scored_at + 2 * DAY), [anomaly("w1")]
    )
    assert [row["model_version"] for row in anomalies.query(conn)] == ["1"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(date(2026, 3, 2), None, [2], id="one day"),
        pytest.param(None, date(2026, 3, 3), [3], id="one day, given as the last"),
        pytest.param(date(2026, 3, 2), date(2026, 3, 3), [2, 3], id="the last day is included"),
        pytest.param(date(2026, 3, 9), None, [], id="a day that was not scored"),
        pytest.param(None, None, [4], id="the last night"),
    ],
)
def test_days_are_utc_days(
    conn: Connection, first: date | None, last: date | None, expected: list[int]
) -> None:
    for start in (MONDAY, MONDAY + DAY, MONDAY + 2 * DAY):
        anomalies.replace_interval(conn, scoring(start=start), [anomaly(at=start)])
    rows = anomalies.query(conn, "disk", first, last)
    assert sorted(row["night"].day for row in rows) == expected


@pytest.mark.parametrize("day", [None, MONDAY.date()], ids=["the last night", "a day"])
def test_rows_can_be_chosen(conn: Connection, day: date | None) -> None:
    found = [
        replace(anomaly(severity, score=score), severity=severity)
        for score, severity in enumerate(anomalies.SEVERITIES)
    ]
    anomalies.replace_interval(conn, scoring(), found)
    anomalies.replace_interval(conn, scoring("net"), found)
    rows = anomalies.query(conn, "disk", day, minimum_severity="high")
    assert [row["severity"] for row in rows] == ["critical", "high"]
    assert len(anomalies.query(conn, None, day)) == 8
    assert [row["score"] for row in anomalies.query(conn, None, day, limit=3)] == [3, 3, 2]


def test_an_unknown_severity_is_named(conn: Connection) -> None:
    with pytest.raises(ValueError, match=r"no severity 'bad'.*low, medium, high, critical"):
        anomalies.query(conn, minimum_severity="bad")


def test_the_last_night_is_found_at_once_after_years(conn: Connection) -> None:
    conn.execute(
        sa.text(
            """
            INSERT INTO loganalyzer.scorings (
                source, interval_start, interval_end, model_name, model_version, detector, windows,
                events, anomalies, threshold, scored_at, catalogue_version
            )
            SELECT source, night, night + interval '1 day', source, '1', 'novelty', 9, 90, 30, 0.5,
                   night + interval '2 days', 0
            FROM unnest(ARRAY['disk', 'net']) AS source,
                 generate_series(timestamptz '2024-01-01', '2025-12-31', '1 day') AS night
            """
        )
    )
    conn.execute(sa.text("SELECT loganalyzer.make_month(interval_start) FROM loganalyzer.scorings"))
    conn.execute(
        sa.text(
            """
            INSERT INTO loganalyzer.anomalies
            SELECT source, interval_start, interval_end, model_name, model_version, 0, n::text,
                   NULL, interval_start, interval_end, n, 0.5, 'high', '', '[]', '[]', detector, 3,
                   '', '[]'
            FROM loganalyzer.scorings, generate_series(1, 30) AS n
            """
        )
    )
    # As a plan without statistics may go wrong, so may one with: both must be quick.
    for _ in range(2):
        conn.execute(sa.text("SET LOCAL statement_timeout = '5s'"))
        assert len(anomalies.query(conn)) == 60
        conn.execute(sa.text("ANALYZE loganalyzer.scorings, loganalyzer.anomalies"))


def test_a_comparison_lies_beside_the_night_and_changes_nothing_of_it(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    before, shown = table(conn), anomalies.query(conn)
    other = replace(scoring(version="2"), is_comparison=True, scored_at=MONDAY + 9 * DAY)
    anomalies.replace_interval(conn, other, [anomaly("w9")])
    assert before < table(conn)
    assert anomalies.query(conn) == shown
    # To compare a night with what judged it leaves it judged.
    again = replace(scoring(), is_comparison=True, scored_at=MONDAY + 10 * DAY)
    anomalies.replace_interval(conn, again, THREE)
    assert anomalies.query(conn) == shown
    # And a version that was compared may judge the night later on.
    official = replace(other, is_comparison=False, scored_at=MONDAY + 11 * DAY)
    anomalies.replace_interval(conn, official, [anomaly("w9")])
    assert [row["model_version"] for row in anomalies.query(conn)] == ["2"]


def test_each_catalogue_keeps_what_was_said_with_it(conn: Connection) -> None:
    anomalies.replace_interval(conn, scoring(), THREE)
    later = replace(scoring(), catalogue_version=7, scored_at=MONDAY + 9 * DAY)
    anomalies.replace_interval(conn, later, [anomaly("w1")])
    assert len(table(conn)) == 4
    assert len(anomalies.query(conn)) == 1


def test_old_months_are_dropped_and_later_ones_stay(conn: Connection) -> None:
    for months in (0, 1, 2):
        start = MONDAY + months * 31 * DAY
        anomalies.replace_interval(conn, scoring(start=start), [anomaly(at=start)])
    last = MONDAY + 2 * 31 * DAY
    assert anomalies.forget_before(conn, last) == ["anomalies_202603", "anomalies_202604"]
    assert [row["night"] for row in anomalies.query(conn)] == [last]
    assert anomalies.forget_before(conn, last) == []
    # What was scored stays known, and a night of a dropped month may be scored again.
    assert len(anomalies.scorings(conn, "disk")) == 3
    anomalies.replace_interval(conn, scoring(), THREE)
    assert len(table(conn)) == 4
