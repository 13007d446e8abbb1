"""Windows without one of the things that are odd about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from ml.explanation import Finding, Kind, OddHabit, OddNumber
from ml.mending import Mender
from ml.profile import NormalProfile
from ml.ranges import PAUSE
from ml.windows import NUMBERS, Windows

USUAL = [list("abcd"), list("abcbd"), list("abbcd")] * 5


def finding(kind: Kind, template: str, expected: int, found: int, **more: Any) -> Finding:
    return Finding(kind, template, expected, found, 1.0, **more)


@pytest.mark.parametrize(
    ("odd", "cause", "mended"),
    [
        pytest.param("axbcyd", finding("new", "x", 0, 1), "abcd", id="all that is new goes"),
        pytest.param("acd", finding("missing", "b", 1, 0), "abcd", id="between its neighbours"),
        pytest.param("bcd", finding("missing", "a", 1, 0), "abcd", id="at the start"),
        pytest.param("abc", finding("missing", "d", 1, 0), "abcd", id="at the end"),
        pytest.param("acd", finding("missing", "b", 2, 0), "abcbd", id="one in each gap"),
        pytest.param("xy", finding("missing", "b", 2, 0), "bbxy", id="where nothing is usual"),
        pytest.param("abcd", finding("fewer", "b", 2, 1), "abbcd", id="one more"),
        pytest.param("abcdc", finding("more", "c", 1, 2), "abcd", id="what stands oddly"),
        pytest.param("cabcd", finding("more", "c", 1, 2), "abcd", id="what stands oddly, earlier"),
        pytest.param("abbbbcd", finding("more", "b", 2, 4), "abbcd", id="the surplus"),
        pytest.param("acbd", finding("order", "c", 0, 1, followed_by="b"), "abcd", id="a pair"),
        pytest.param(
            "dadabc", finding("order", "d", 0, 1, followed_by="a"), "adadbc", id="each such pair"
        ),
        pytest.param(
            "abbbbcd",
            finding("habit", "b", 0, 4, habit=OddHabit("bob", 60, seen=0, at_least=2)),
            "abcd",
            id="so many as were seen before",
        ),
    ],
)
def test_what_is_odd_is_mended(odd: str, cause: Finding, mended: str, make_windows: Any) -> None:
    windows = make_windows([list("abcd"), list(odd)])
    both = mend(windows, make_windows(USUAL), cause)
    assert ["".join(each) for each in both.sequences()] == ["abcd", odd, mended]


def mend(windows: Windows, usual: Windows, cause: Finding) -> Windows:
    """The cause is in the last window."""
    profile = NormalProfile.fit(usual)
    causes = [(len(windows) - 1, cause)]
    mended, is_empty = Mender(profile).mended(windows, causes, profile.ranges.odd(windows))
    assert not is_empty.any()
    return mended


def test_an_odd_number_becomes_the_nearest_that_is_normal(make_numbered: Any) -> None:
    usual = make_numbered([[3 + (7 * number) % 78, 40] for number in range(300)])
    cause = finding("value", "w", 0, 1, value=OddNumber(1, 9312, 3, 80))
    windows = make_numbered([[9312, 40], [40, 9312, 41]])
    numbers = mend(windows, usual, cause).events[NUMBERS].list.get(1)
    assert numbers.to_list() == [9312, 40, 40, 9312, 41, 40, 80, 41]


def test_after_a_pause_that_is_mended_all_moves_along(make_windows: Any) -> None:
    windows = make_windows([list("abcd"), list("abcd")])
    late = (
        windows.events["event_time"] + pl.Series([0] * 6 + [600] * 2).cast(pl.Duration("ms")) * 1000
    )
    windows = replace(windows, events=windows.events.with_columns(event_time=late))
    cause = finding("late", "c", 0, 1, value=OddNumber(PAUSE, 601, 0, 4))
    odd = pl.DataFrame(
        {"window": 1, "event": 6, "template_id": "c", "place": PAUSE, "low": 0.0, "high": 4.0}
        | {"number": 601.0}
    )
    mended, _ = Mender(NormalProfile.fit(make_windows(USUAL))).mended(windows, [(1, cause)], odd)
    pauses = mended.events["event_time"].diff().dt.total_seconds().to_list()
    assert [pauses[4 * row + 1 : 4 * row + 4] for row in range(3)] == [
        [1, 1, 1],
        [1, 601, 1],
        [1, 4, 1],
    ]
    ends = mended.spans["ends_at"]
    assert ends[2] == mended.events["event_time"][11] == ends[1] - timedelta(seconds=597)


def test_a_window_that_would_be_empty_stays_and_is_marked(make_windows: Any) -> None:
    profile = NormalProfile.fit(make_windows(USUAL))
    windows = make_windows([["x", "x"]])
    cause = (0, finding("new", "x", 0, 2))
    mended, is_empty = Mender(profile).mended(windows, [cause], profile.ranges.odd(windows))
    assert is_empty.tolist() == [False, True]
    assert mended.sequences() == [("x", "x")] * 2


def test_events_that_are_put_back_stand_in_order_of_time(make_windows: Any) -> None:
    windows = make_windows([list("acd")])
    mended = mend(windows, make_windows(USUAL), finding("missing", "b", 1, 0))
    times = mended.events_of(1)["event_time"]
    assert times.is_sorted()
    assert mended.events_of(0).equals(windows.events)
    assert mended.events.schema["event_time"] == pl.Datetime("us", "UTC")
