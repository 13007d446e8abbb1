"""Splits along time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ml.splits import (
    TooFewWindows,
    rolling_origins,
    split_at,
    split_by_files,
    split_by_share,
    split_in_order,
)

# Windows start a minute apart; the three events of each take two seconds.
FOUR = [["a", "b", "c"]] * 4
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("cut", "train", "test"),
    [
        pytest.param(2 * MINUTE, [0, 1], [2, 3], id="a window that starts at the cut is tested"),
        pytest.param(2 * MINUTE + SECOND, [0, 1], [3], id="one that straddles it is in neither"),
        pytest.param(2 * MINUTE + 2 * SECOND, [0, 1], [3], id="nor one whose last event is on it"),
        pytest.param(2 * MINUTE + 3 * SECOND, [0, 1, 2], [3], id="one that has ended is learnt"),
        pytest.param(-MINUTE, [], [0, 1, 2, 3], id="a cut before all"),
        pytest.param(9 * MINUTE, [0, 1, 2, 3], [], id="a cut after all"),
    ],
)
def test_windows_are_parted_at_the_cut(
    cut: timedelta, train: list[int], test: list[int], make_windows: Any
) -> None:
    windows = make_windows(FOUR)
    keys = windows.spans["session_key"]
    split = split_at(windows, windows.spans["starts_at"][0] + cut)
    assert split.train.spans["session_key"].to_list() == keys[train].to_list()
    assert split.test.spans["session_key"].to_list() == keys[test].to_list()
    assert split.embargoed == 4 - len(train) - len(test)


@pytest.mark.parametrize(
    ("share", "parts"),
    [
        pytest.param(0.5, (2, 2), id="a half"),
        pytest.param(0.75, (3, 1), id="three quarters"),
        pytest.param(0.7, (3, 1), id="the nearest whole number of windows"),
    ],
)
def test_a_share_of_the_windows_is_learnt(
    share: float, parts: tuple[int, int], make_windows: Any
) -> None:
    windows = make_windows(FOUR)
    split = split_by_share(windows, share)
    assert (len(split.train), len(split.test)) == parts
    assert split.cut == windows.spans["starts_at"][parts[0]]


@pytest.mark.parametrize(
    ("count", "share"),
    [
        pytest.param(0, 0.5, id="no window"),
        pytest.param(1, 0.8, id="one window and none to test"),
        pytest.param(2, 0.9, id="two windows that both fall to training"),
        pytest.param(2, 0.1, id="two windows that both fall to the test"),
    ],
)
def test_both_parts_need_a_window(count: int, share: float, make_windows: Any) -> None:
    with pytest.raises(TooFewWindows, match=f"{count} windows are too few"):
        split_by_share(make_windows(FOUR[:count]), share)


def test_what_has_not_ended_before_the_cut_cannot_be_learnt(make_windows: Any) -> None:
    # The first window goes on for two minutes and so past the start of the second.
    windows = make_windows([["a"] * 121, ["a"]])
    with pytest.raises(TooFewWindows, match="no window has ended before"):
        split_by_share(windows, 0.5)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 80])
def test_a_share_lies_between_nothing_and_all(share: float, make_windows: Any) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_by_share(make_windows(FOUR), share)


def test_each_origin_learns_from_what_came_before_it(make_windows: Any) -> None:
    windows = make_windows([["a"]] * 10)
    splits = rolling_origins(windows, [0.3, 0.5])
    assert [(len(split.train), len(split.test)) for split in splits] == [(3, 7), (5, 5)]
    for split in splits:
        assert split.train.spans["ends_at"].max() < split.cut <= split.test.spans["starts_at"].min()


def test_windows_without_times_are_split_in_their_order(make_windows: Any) -> None:
    split = split_in_order(make_windows([["a"], ["b"], ["c"], ["d"]]), 0.5)
    assert split.train.sequences() == [("a",), ("b",)]
    assert split.test.sequences() == [("c",), ("d",)]


def test_two_files_are_taken_as_they_are(make_windows: Any) -> None:
    split = split_by_files(make_windows([["a"]]), make_windows([["b"], ["c"]]))
    assert (len(split.train), len(split.test), split.embargoed) == (1, 2, 0)
    with pytest.raises(TooFewWindows, match="0 windows to train on"):
        split_by_files(make_windows([]), make_windows([["b"]]))
