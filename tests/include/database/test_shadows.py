"""Shadow scores: written whole, and listed where exactly one of two models flags a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import Connection, labels, shadows
from include.database.labels import LabelRow
from include.database.shadows import ShadowScore, ShadowScoring

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def scoring(source: str = "disk", start: datetime = MONDAY, challenger: str = "2") -> ShadowScoring:
    return ShadowScoring(
        source=source,
        interval_start=start,
        interval_end=start + DAY,
        champion_version="1",
        challenger_version=challenger,
        windows=100,
        flagged=2,
        scored_at=start + 2 * DAY,
    )


def score(
    window: str, champion: float, challenger: float, reason: str | None = None
) -> ShadowScore:
    """A window of nine to ten past nine. The champion flags above 3, the challenger above 2."""
    return ShadowScore(
        window_id=window,
        session_key=window,
        window_start=MONDAY + 540 * MINUTE,
        window_end=MONDAY + 550 * MINUTE,
        champion_score=champion,
        champion_threshold=3.0,
        challenger_score=challenger,
        challenger_threshold=2.0,
        reason=reason or f"never seen before: “{window}”",
        lines=[{"object_key": "a.log", "line_number": 3}],
    )


FOUR = [
    score("near", 3.1, 1.9),
    score("both", 9.0, 9.0),
    score("far", 0.5, 4.0),
    score("just not", 3.0, 2.5),
]


def listed(conn: Connection, source: str = "disk") -> list[str]:
    return [row["session"] for row in shadows.disagreements(conn, source)]


def table(conn: Connection, name: str = "shadow_scores") -> set[tuple[object, ...]]:
    """The rows, each with its place: an update moves a row."""
    rows = conn.execute(sa.text(f"SELECT ctid::text, * FROM loganalyzer.{name}"))
    return {tuple(str(value) for value in row) for row in rows}


def test_the_farther_apart_the_verdicts_the_earlier_a_window_is_listed(conn: Connection) -> None:
    shadows.replace_interval(conn, scoring(), FOUR)
    rows = shadows.disagreements(conn)
    assert [(row["session"], row["flagged_by"]) for row in rows] == [
        ("far", "challenger"),
        ("just not", "challenger"),
        ("near", "champion"),
    ]
    assert [row["apart"] for row in rows] == pytest.approx([2 + 2.5, 0.5 + 0, 0.1 + 0.1])
    assert (
        rows[0].items()
        >= {
            "time": MONDAY + 540 * MINUTE,
            "source": "disk",
            "champion_score": 0.5,
            "challenger_threshold": 2.0,
            "reason": "never seen before: “far”",
            "lines": [{"object_key": "a.log", "line_number": 3}],
            "challenger_version": "2",
            "night": MONDAY,
        }.items()
    )
    assert len(shadows.disagreements(conn, limit=2)) == 2
    assert listed(conn, "net") == []


def test_of_one_kind_the_second_tells_half_as_much_also_when_the_first_is_judged(
    conn: Connection,
) -> None:
    kind = [
        score(f"disk {n}", 0.5, 4.0 + n / 8, f"{n} instead of 1 times: “full”") for n in (4, 2, 1)
    ]
    shadows.replace_interval(conn, scoring(), [*kind, score("other", 0.0, 2.5)])
    rows = shadows.disagreements(conn)
    assert [row["session"] for row in rows] == ["disk 4", "other", "disk 2", "disk 1"]
    assert [row["telling"] for row in rows] == [5.0, 3.5, 4.75 / 2, 4.625 / 3]
    labels.import_labels(conn, "disk", [LabelRow("disk 4", None, None, True)], "ann", "")
    assert shadows.disagreements(conn) == rows[1:]


def test_writing_the_same_again_changes_no_row(conn: Connection) -> None:
    shadows.replace_interval(conn, scoring(), FOUR)
    before = table(conn), table(conn, "shadow_scorings")
    later = replace(scoring(), scored_at=MONDAY + 9 * DAY)
    shadows.replace_interval(conn, later, FOUR[::-1])
    assert (table(conn), table(conn, "shadow_scorings")) == before


def test_an_interval_is_replaced_whole_and_others_are_left_alone(conn: Connection) -> None:
    shadows.replace_interval(conn, scoring(), FOUR)
    shadows.replace_interval(conn, scoring(start=MONDAY + DAY), [score("other", 0.0, 3.0)])
    before = table(conn)
    changed = [replace(FOUR[0], reason="another"), *FOUR[1:3]]
    shadows.replace_interval(conn, replace(scoring(), scored_at=MONDAY + 9 * DAY), changed)
    after = table(conn)
    assert len(before - after) == 2
    assert {row[6] for row in after} == {"near", "both", "far", "other"}


def test_all_nights_of_the_newest_pair_count_and_those_of_others_do_not(conn: Connection) -> None:
    shadows.replace_interval(conn, scoring(), [score("old", 0.0, 3.0)])
    shadows.replace_interval(conn, scoring("net"), [score("net", 0.0, 3.0)])
    newer = scoring(challenger="10")
    for night, name in enumerate(("first", "second")):
        start = MONDAY + night * DAY
        moved = replace(newer, interval_start=start, interval_end=start + DAY)
        moved = replace(moved, scored_at=MONDAY + (5 + night) * DAY)
        shadows.replace_interval(conn, moved, [score(name, 0.0, 3.0)])
    assert listed(conn) == ["first", "second"]
    assert listed(conn, "net") == ["net"]
    # A pair that judges a night again counts from then on, as a champion does.
    again = replace(scoring(), scored_at=MONDAY + 9 * DAY)
    shadows.replace_interval(conn, again, [score("old", 0.0, 3.0)])
    assert listed(conn) == ["old"]


def test_a_pair_that_agrees_in_everything_leaves_nothing_to_ask(conn: Connection) -> None:
    shadows.replace_interval(conn, scoring(), FOUR)
    agreed = replace(scoring(challenger="3"), scored_at=MONDAY + 9 * DAY)
    shadows.replace_interval(conn, agreed, [])
    assert listed(conn) == []


NINE, TEN = MONDAY + 540 * MINUTE, MONDAY + 600 * MINUTE


@pytest.mark.parametrize(
    ("label", "is_judged"),
    [
        pytest.param(LabelRow("far", None, None, True), True, id="its session"),
        pytest.param(LabelRow("far", None, None, False), True, id="its session, called normal"),
        pytest.param(LabelRow("near", None, None, True), False, id="another session"),
        pytest.param(LabelRow(None, NINE, TEN, True), True, id="an interval that holds it"),
        pytest.param(
            LabelRow(None, NINE + 10 * MINUTE, TEN, True), True, id="from its last event on"
        ),
        pytest.param(LabelRow(None, NINE - MINUTE, NINE, True), False, id="up to its first event"),
        pytest.param(LabelRow(None, NINE + 11 * MINUTE, TEN, True), False, id="after it"),
        pytest.param(LabelRow("far", NINE, TEN, True), True, id="its session, in an interval"),
        pytest.param(LabelRow("far", TEN, TEN + DAY, True), False, id="its session at other times"),
        pytest.param(LabelRow("near", NINE, TEN, True), False, id="another session meanwhile"),
    ],
)
def test_what_a_label_speaks_of_is_not_asked_again(
    conn: Connection, label: LabelRow, is_judged: bool
) -> None:
    shadows.replace_interval(conn, scoring(), [score("far", 0.5, 4.0)])
    labels.import_labels(conn, "net", [LabelRow("far", None, None, True)], "ann", "")
    labels.import_labels(conn, "disk", [label], "ann", "")
    assert listed(conn) == ([] if is_judged else ["far"])


def test_windows_without_a_session_are_judged_by_intervals(conn: Connection) -> None:
    shadows.replace_interval(conn, scoring(), [replace(score("w", 0.5, 4.0), session_key=None)])
    labels.import_labels(conn, "disk", [LabelRow("w", None, None, True)], "ann", "")
    assert listed(conn) == [None]
    labels.import_labels(conn, "disk", [LabelRow(None, NINE, TEN, False)], "ann", "")
    assert listed(conn) == []


def test_the_list_is_there_at_once_after_years_and_with_many_labels(conn: Connection) -> None:
    conn.execute(
        sa.text(
            """
            INSERT INTO loganalyzer.shadow_scorings
            SELECT 'disk', night, night + interval '1 day', '1', '2', 9, 30,
                   night + interval '2 days'
            FROM generate_series(timestamptz '2024-01-01', '2025-12-31', '1 day') AS night
            """
        )
    )
    conn.execute(
        sa.text(
            """
            INSERT INTO loganalyzer.shadow_scores
            SELECT source, interval_start, interval_end, '1', '2', n::text,
                   interval_start::date::text || n, interval_start, interval_end, 1, 3, 4, 2, '',
                   '[]'
            FROM loganalyzer.shadow_scorings, generate_series(1, 30) AS n
            """
        )
    )
    conn.execute(
        sa.text(
            """
            INSERT INTO loganalyzer.labels (source, session_key, is_anomalous, author, reason)
            SELECT source, session_key, true, '', '' FROM loganalyzer.shadow_scores
            WHERE window_id <> '7'
            """
        )
    )
    # As a plan without statistics may go wrong, so may one with: both must be quick.
    for _ in range(2):
        conn.execute(sa.text("SET LOCAL statement_timeout = '5s'"))
        assert len(listed(conn)) == 731
        conn.execute(sa.text("ANALYZE loganalyzer.shadow_scores, loganalyzer.labels"))
