"""Windows: cut by rules, judged once, with all of their events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.windows import CountRule, SessionRule, TimeRule, WindowRule, Windows, closed_windows

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
RULES: list[WindowRule] = [
    SessionRule(idle_timeout=30 * MINUTE, longest_span=3 * HOUR),
    TimeRule(size=HOUR, step=HOUR),
    TimeRule(size=HOUR, step=20 * MINUTE),
    CountRule(size=4, step=4),
    CountRule(size=4, step=3),
]
NAMES = ["sessions", "time", "overlapping time", "count", "overlapping count"]


def events_at(minutes: list[tuple[float, str | None]]) -> pl.DataFrame:
    rows = [
        (START + minute * MINUTE, key, "INFO", f"t{number % 3}", "a.log", number + 1)
        for number, (minute, key) in enumerate(minutes)
    ]
    schema = {
        "event_time": pl.Datetime("us", "UTC"),
        "session_key": pl.String,
        "severity": pl.String,
        "template_id": pl.String,
        "object_key": pl.String,
        "line_number": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def content(windows: Windows) -> dict[str, list[int]]:
    """The line numbers of each window."""
    return {
        name: windows.events_of(row)["line_number"].to_list()
        for row, name in enumerate(windows.spans["window_id"])
    }


def lines(windows: Windows) -> list[list[int]]:
    return sorted(content(windows).values())


def sessions(minutes: list[tuple[float, str | None]], until: timedelta = 99 * HOUR) -> Windows:
    return closed_windows(events_at(minutes), RULES[0], START - HOUR, START + until)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        pytest.param([(0, "a"), (29, "a")], [[1, 2]], id="a pause below the timeout joins"),
        pytest.param([(0, "a"), (30, "a")], [[1], [2]], id="a pause of the timeout parts"),
        pytest.param([(0, "a"), (1, "b"), (2, "a")], [[1, 3], [2]], id="keys are kept apart"),
        pytest.param([(0, "a"), (1, None)], [[1]], id="an event without a key is in no session"),
        pytest.param(
            [(1430, "a"), (1445, "a")], [[1, 2]], id="midnight and the hour cut no session"
        ),
        pytest.param(
            [(n * 20.0, "a") for n in range(10)],
            [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
            id="a run of just the longest span is whole",
        ),
        pytest.param(
            [(n * 20.0, "a") for n in range(11)],
            [[1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11]],
            id="a longer run is cut at a multiple of the span",
        ),
    ],
)
def test_sessions(minutes: list[tuple[float, str | None]], expected: list[list[int]]) -> None:
    assert lines(sessions(minutes)) == expected


@pytest.mark.parametrize(
    ("until_minutes", "closed"),
    [
        pytest.param(39, False, id="while an event could still join"),
        pytest.param(40, True, id="from the end of the timeout on"),
    ],
)
def test_a_session_is_judged_once_nothing_can_join_it(until_minutes: int, closed: bool) -> None:
    assert len(sessions([(0, "a"), (10, "a")], until_minutes * MINUTE)) == closed


def test_a_time_window_that_ends_at_midnight_belongs_to_the_day_before() -> None:
    events = events_at([(1439, None)])
    day = timedelta(days=1)
    assert len(closed_windows(events, RULES[1], START, START + day)) == 1
    assert len(closed_windows(events, RULES[1], START + day, START + 2 * day)) == 0


def test_count_windows_begin_anew_each_day() -> None:
    events = events_at([(n, None) for n in range(5)] + [(1440, None)])
    windows = closed_windows(events, RULES[3], START, START + 48 * HOUR)
    assert lines(windows) == [[1, 2, 3, 4], [5], [6]]


some_events = st.lists(
    st.tuples(
        st.integers(0, 3 * 1440).map(float), st.sampled_from(["a", "b", None]), st.booleans()
    ).map(lambda row: (row[0], row[1])),
    max_size=60,
)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@settings(max_examples=120, deadline=None)
@given(minutes=some_events, cuts=st.lists(st.integers(0, 5 * 1440), max_size=6))
def test_intervals_laid_end_to_end_judge_what_one_interval_judges(
    rule: WindowRule, minutes: list[tuple[float, str | None]], cuts: list[int]
) -> None:
    events = events_at(minutes)
    begin, end = START - 24 * HOUR, START + 8 * 24 * HOUR
    whole = content(closed_windows(events, rule, begin, end))
    borders = [begin, *sorted({START + cut * MINUTE for cut in cuts}), end]
    parts: dict[str, list[int]] = {}
    for start, stop in pairwise(borders):
        known = events.filter(pl.col("event_time") >= start - rule.lookback)
        part = content(closed_windows(known, rule, start, stop))
        assert not parts.keys() & part.keys(), "a window is judged once"
        parts |= part
    assert parts == whole


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
@settings(max_examples=40, deadline=None)
@given(minutes=some_events, seed=st.integers(0, 1000))
def test_the_order_of_the_rows_makes_no_difference(
    rule: WindowRule, minutes: list[tuple[float, str | None]], seed: int
) -> None:
    events = events_at(minutes)
    end = START + 8 * 24 * HOUR
    shuffled = events.sample(fraction=1, shuffle=True, seed=seed)
    assert content(closed_windows(shuffled, rule, START - HOUR, end)) == content(
        closed_windows(events, rule, START - HOUR, end)
    )


def test_taking_windows_takes_their_events() -> None:
    windows = sessions([(0, "a"), (1, "b"), (2, "a"), (100, "c")])
    assert lines(windows.take(np.array([2, 0]))) == [[1, 3], [4]]
    assert lines(windows.where(np.array([False, True, False]))) == [[2]]


def test_count_vectors_count_the_unknown_in_the_last_column() -> None:
    windows = sessions([(0, "a"), (1, "a"), (2, "a"), (3, "a")])
    assert windows.count_vectors(["t1", "t0"]).toarray().tolist() == [[1, 2, 1]]
