"""Windows: cut by rules, judged once, with all of their events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.windows import (
    CountRule,
    SessionRule,
    TimeRule,
    WindowRule,
    Windows,
    closed_windows,
    utc,
    windows_from_events,
)

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
TICK = timedelta(microseconds=1)
SESSIONS = SessionRule(idle_timeout=30 * MINUTE, longest_span=3 * HOUR)
HOURLY = TimeRule(size=HOUR, step=HOUR)
BY_FOUR = CountRule(size=4, step=4)
# The short span makes long runs frequent; neither it nor the odd size divides a day.
RULES: dict[str, WindowRule] = {
    "sessions": SESSIONS,
    "sessions often cut": SessionRule(idle_timeout=30 * MINUTE, longest_span=50 * MINUTE),
    "sessions cut within the timeout": SessionRule(30 * MINUTE, longest_span=10 * MINUTE),
    "time": HOURLY,
    "overlapping time": TimeRule(size=HOUR, step=25 * MINUTE),
    "count": BY_FOUR,
    "overlapping count": CountRule(size=4, step=3),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

Moments = Sequence[tuple[timedelta, str | None]]
Minutes = Sequence[tuple[float, str | None]]


def events_after(moments: Moments) -> pl.DataFrame:
    """Events this long after START, numbered from 1."""
    rows = [
        (START + moment, key, "INFO", f"t{number % 3}", "a.log", number + 1)
        for number, (moment, key) in enumerate(moments)
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


def events_at(minutes: Minutes) -> pl.DataFrame:
    return events_after([(minute * MINUTE, key) for minute, key in minutes])


def content(windows: Windows) -> dict[str, list[int]]:
    """The line numbers of each window, by its id, which must be its own."""
    ids = windows.spans["window_id"]
    assert ids.n_unique() == len(windows)
    return {name: windows.events_of(row)["line_number"].to_list() for row, name in enumerate(ids)}


def lines(windows: Windows) -> list[list[int]]:
    """The line numbers of each window, in the order of the windows."""
    return list(content(windows).values())


def judged(minutes: Minutes, rule: WindowRule, until: timedelta = 99 * HOUR) -> Windows:
    return closed_windows(events_at(minutes), rule, START - HOUR, START + until)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        pytest.param([(0, "a"), (29, "a")], [[1, 2]], id="a pause below the timeout joins"),
        pytest.param([(0, "a"), (30, "a")], [[1], [2]], id="a pause of the timeout parts"),
        pytest.param([(0, "a"), (1, "b"), (2, "a")], [[1, 3], [2]], id="keys are kept apart"),
        pytest.param([(0, "a"), (1, None)], [[1]], id="an event without a key is in no session"),
        pytest.param([(0, None)], [], id="events without a key alone make no session"),
        pytest.param([(0, "a"), (20, None), (40, "a")], [[1], [3]], id="nor do they bridge one"),
        pytest.param([(1430, "a"), (1445, "a")], [[1, 2]], id="midnight cuts no session"),
        pytest.param([(50, "a"), (70, "a")], [[1, 2]], id="the full hour cuts no session"),
        pytest.param([(170, "a"), (190, "a")], [[1, 2]], id="nor a multiple of the longest span"),
        pytest.param(
            [(n * 20, "a") for n in range(10)],
            [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
            id="a run of just the longest span is whole",
        ),
        pytest.param(
            [(n * 20, "a") for n in range(11)],
            [[1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11]],
            id="a longer run is cut at a multiple of the span",
        ),
        pytest.param(
            [(170 + n * 20, "a") for n in range(11)],
            [[1], [2, 3, 4, 5, 6, 7, 8, 9, 10], [11]],
            id="it is cut at the multiples since the epoch and not since its start",
        ),
    ],
)
def test_sessions(minutes: Minutes, expected: list[list[int]]) -> None:
    assert lines(judged(minutes, SESSIONS)) == expected


@pytest.mark.parametrize(
    ("rule", "minutes", "closes"),
    [
        pytest.param(SESSIONS, [(0, "a"), (10, "a")], 40, id="a session when its timeout is over"),
        pytest.param(HOURLY, [(0, None), (10, None)], 60, id="a time window at its end"),
        pytest.param(BY_FOUR, [(n, None) for n in range(4)], 1440, id="a full count with its day"),
        pytest.param(BY_FOUR, [(0, None)], 1440, id="a short count with its day"),
    ],
)
def test_a_window_is_judged_in_the_interval_in_which_it_closes(
    rule: WindowRule, minutes: Minutes, closes: int
) -> None:
    events, moment = events_at(minutes), START + closes * MINUTE
    assert closed_windows(events, rule, START, moment).spans["closes_at"].to_list() == [moment]
    assert len(closed_windows(events, rule, START, moment - TICK)) == 0
    assert len(closed_windows(events, rule, moment, moment + DAY)) == 0
    assert len(closed_windows(events, rule, moment - TICK, moment)) == 1


def test_a_long_run_is_judged_piece_by_piece_while_it_goes_on() -> None:
    endless = [(n * 20, "a") for n in range(100)]
    assert lines(judged(endless, SESSIONS, until=6 * HOUR)) == [
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        [10, 11, 12, 13, 14, 15, 16, 17, 18],
    ]


@pytest.mark.parametrize(
    ("minutes", "closes"),
    [
        pytest.param(
            [n * 20 for n in range(11)],
            [200 * MINUTE + TICK, 230 * MINUTE],
            id="the first once the run is known to be long, the last after the timeout",
        ),
        pytest.param(
            [170 + n * 20 for n in range(11)],
            [370 * MINUTE + TICK, 370 * MINUTE + TICK, 400 * MINUTE],
            id="all that are over then close together",
        ),
    ],
)
def test_the_pieces_of_a_long_run_close(minutes: list[float], closes: list[timedelta]) -> None:
    windows = judged([(minute, "a") for minute in minutes], SESSIONS)
    assert [moment - START for moment in windows.spans["closes_at"]] == closes


def test_events_from_the_end_of_the_interval_on_are_not_known_yet() -> None:
    minutes = [(0, "a"), (10, "a"), (40, "a")]
    assert lines(judged(minutes, SESSIONS, until=40 * MINUTE)) == [[1, 2]]


@pytest.mark.parametrize(
    ("rule", "minutes", "expected"),
    [
        pytest.param(
            HOURLY, [(0, "a"), (59, "b"), (60, None)], [[1, 2], [3]], id="an end is not in it"
        ),
        pytest.param(HOURLY, [(0, "a"), (300, "a")], [[1], [2]], id="empty ones do not exist"),
        pytest.param(
            TimeRule(HOUR, 30 * MINUTE),
            [(0, "a"), (40, "a"), (60, "a")],
            [[1], [1, 2], [2, 3], [3]],
            id="overlapping ones share events",
        ),
        pytest.param(
            BY_FOUR, [(n, "a") for n in range(6)], [[1, 2, 3, 4], [5, 6]], id="counted by four"
        ),
        pytest.param(
            CountRule(4, 2),
            [(n, "a") for n in range(6)],
            [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6]],
            id="counted by four, every two",
        ),
        pytest.param(
            BY_FOUR,
            [*[(n, None) for n in range(5)], (1440, None)],
            [[1, 2, 3, 4], [5], [6]],
            id="counted anew each day",
        ),
    ],
)
def test_time_and_count_windows(
    rule: WindowRule, minutes: Minutes, expected: list[list[int]]
) -> None:
    assert lines(judged(minutes, rule)) == expected


PAUSES = [timedelta(0), TICK, 9 * MINUTE, 25 * MINUTE, 30 * MINUTE - TICK, 30 * MINUTE, 8 * HOUR]
some_events = st.lists(
    st.tuples(st.sampled_from(PAUSES), st.sampled_from(["a", "a", "b", None])), max_size=50
).map(
    lambda rows: list(
        zip(accumulate(pause for pause, _ in rows), (key for _, key in rows), strict=True)
    )
)
# Borders of intervals where something happens: at events, timeouts, cuts of long runs, and beside.
some_borders = st.lists(
    st.tuples(
        st.integers(0, 49),
        st.sampled_from([0 * MINUTE, 30 * MINUTE, 50 * MINUTE, 3 * HOUR, DAY]),
        st.sampled_from([None, 10 * MINUTE, 50 * MINUTE, HOUR, 3 * HOUR, DAY]),
        st.sampled_from([-TICK, 0 * TICK, TICK]),
    ),
    max_size=5,
)


def moments_of(borders: Sequence[tuple], events: pl.DataFrame) -> list[datetime]:
    """Each border as a moment: after an event, cut down to a grid, a tick to either side."""
    epoch, times = datetime(1970, 1, 1, tzinfo=UTC), events["event_time"].to_list() or [START]
    moments = set()
    for number, later, grid, tick in borders:
        moment = times[number % len(times)] + later
        moments.add(moment - ((moment - epoch) % grid if grid else 0 * TICK) + tick)
    return sorted(moments)


@every_rule
@settings(max_examples=60, deadline=None)
@given(moments=some_events, borders=some_borders)
def test_intervals_laid_end_to_end_judge_what_one_interval_judges(
    rule: WindowRule, moments: Moments, borders: Sequence[tuple]
) -> None:
    events = events_after(moments)
    begin, end = START - 9 * DAY, START + 30 * DAY
    whole = content(closed_windows(events, rule, begin, end))
    parts: dict[str, list[int]] = {}
    for start, stop in pairwise([begin, *moments_of(borders, events), end]):
        known = events.filter(pl.col("event_time").is_between(start - rule.lookback, stop))
        part = content(closed_windows(known, rule, start, stop))
        assert not parts.keys() & part.keys(), "a window is judged once"
        parts |= part
    assert parts == whole


@every_rule
@settings(max_examples=30, deadline=None)
@given(moments=some_events, seed=st.integers(0, 1000))
def test_the_order_of_the_rows_makes_no_difference(
    rule: WindowRule, moments: Moments, seed: int
) -> None:
    events = events_after(moments)
    shuffled = events.sample(fraction=1, shuffle=True, seed=seed)
    one, other = (
        closed_windows(frame, rule, START - DAY, START + 30 * DAY) for frame in (events, shuffled)
    )
    assert one.spans.equals(other.spans)
    assert one.events.equals(other.events)


@pytest.mark.parametrize(
    "name", ["sessions", "sessions often cut", "sessions cut within the timeout", "time", "count"]
)
@settings(max_examples=30, deadline=None)
@given(moments=some_events)
def test_each_event_is_in_one_window_that_holds_it_and_closes_after_it(
    name: str, moments: Moments
) -> None:
    windows = closed_windows(events_after(moments), RULES[name], START - DAY, START + 30 * DAY)
    in_scope = [
        number
        for number, (_, key) in enumerate(moments, start=1)
        if key is not None or not name.startswith("sessions")
    ]
    assert sorted(windows.events["line_number"]) == in_scope
    for row, span in enumerate(windows.spans.iter_rows(named=True)):
        times = windows.events_of(row)["event_time"]
        assert times.is_sorted()
        assert span["starts_at"] <= times.min()
        assert times.max() == span["ends_at"] < span["closes_at"]


def test_lookback_is_long_enough_for_a_window_to_close_after_its_last_event() -> None:
    """Training waits that long after its period before it takes the windows of it."""
    for rule in RULES.values():
        events = events_at([(n * 9, "a") for n in range(200)])
        spans = closed_windows(events, rule, START - DAY, START + 30 * DAY).spans
        assert (spans["closes_at"] - spans["ends_at"]).max() <= rule.lookback


FOUR = [(0, "a"), (1, "b"), (2, "a"), (100, "c")]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([0, 1, 2], [[1, 3], [2], [4]], id="all"),
        pytest.param([2, 0], [[4], [1, 3]], id="some, in the order asked for"),
        pytest.param([1, 1], [[2], [2]], id="one twice"),
        pytest.param([], [], id="none"),
    ],
)
def test_taking_windows_takes_their_events(rows: list[int], expected: list[list[int]]) -> None:
    taken = judged(FOUR, SESSIONS).take(np.array(rows, dtype=np.int64))
    assert [taken.events_of(n)["line_number"].to_list() for n in range(len(taken))] == expected
    assert taken.lengths.tolist() == [len(window) for window in expected]
    keys = {1: "a", 2: "b", 4: "c"}
    assert taken.spans["session_key"].to_list() == [keys[window[0]] for window in expected]


def test_where_takes_the_windows_that_the_mask_names() -> None:
    windows = judged(FOUR, SESSIONS)
    assert lines(windows.where(np.array([True, False, True]))) == [[1, 3], [4]]


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        pytest.param(["t0", "t1", "t2"], [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]], id="known"),
        pytest.param(["t2", "t0"], [[1, 1, 0], [0, 0, 1], [0, 1, 0]], id="others come last"),
        pytest.param([], [[2], [1], [1]], id="no vocabulary"),
        pytest.param(["t9"], [[0, 2], [0, 1], [0, 1]], id="a template that does not occur"),
    ],
)
def test_count_vectors(vocabulary: list[str], expected: list[list[int]]) -> None:
    assert judged(FOUR, SESSIONS).count_vectors(vocabulary).toarray().tolist() == expected


def test_no_windows_are_windows_too() -> None:
    windows = judged([], SESSIONS)
    assert len(windows) == 0
    assert windows.count_vectors(["t0"]).shape == (0, 2)


def test_grouped_events_become_windows_in_the_order_they_stand_in() -> None:
    events = pl.DataFrame({"window_id": ["w2", "w1", "w2"], "template_id": ["b", "a", "a"]})
    windows = windows_from_events(events)
    assert windows.spans["window_id"].to_list() == ["w1", "w2"]
    assert windows.events_of(1)["template_id"].to_list() == ["b", "a"]


def test_a_time_in_another_zone_becomes_utc() -> None:
    east = datetime.fromisoformat("2026-03-02T02:00:00+02:00")
    assert utc(east) == START
    assert utc(east).utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        utc(START.replace(tzinfo=None))
