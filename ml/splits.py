"""Splits along time. There is no other kind here, so that a shuffled one cannot be written.

A window belongs to the training part when it starts before the cut and has ended by then, and to
the test part, whole, when it starts at the cut or later. What straddles the cut is in neither:
that gap is the embargo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ml.windows import Windows

# Rolling origins by default: shares of the windows.
ORIGINS = (0.1, 0.3, 0.5)


class TooFewWindows(ValueError):
    """There is too little to learn from; the message says how much is needed."""


@dataclass(frozen=True, slots=True)
class Split:
    """cut: UTC, None where the windows have no times. embargoed: windows in neither part."""

    cut: datetime | None
    train: Windows
    test: Windows
    embargoed: int


@dataclass(frozen=True, slots=True)
class TimeSplit(Split):
    cut: datetime


def split_at(windows: Windows, cut: datetime) -> TimeSplit:
    """The windows before and from `cut` (UTC, aware)."""
    started = int((windows.spans["starts_at"] < cut).sum())
    return _split(windows, cut, started)


def split_by_share(windows: Windows, train_share: float) -> TimeSplit:
    """Cut where this share of the windows, in order of their start, has started.

    Raises TooFewWindows where that leaves either part without a window.
    """
    first_test = _first_test(len(windows), train_share)
    split = _split(windows, windows.spans["starts_at"][first_test], first_test)
    if not len(split.train):
        raise TooFewWindows(f"no window has ended before {split.cut:%Y-%m-%d %H:%M} UTC, the cut")
    return split


def rolling_origins(windows: Windows, shares: Sequence[float] = ORIGINS) -> list[TimeSplit]:
    """One split for each share: what came before the origin trains, all that follows tests.

    Raises TooFewWindows as `split_by_share`.
    """
    return [split_by_share(windows, share) for share in shares]


def split_in_order(windows: Windows, train_share: float) -> Split:
    """For windows without times, whose order is all that is known: the first share of them
    trains, the others test. Nothing can be embargoed. Raises TooFewWindows."""
    first_test = _first_test(len(windows), train_share)
    rows = np.arange(len(windows))
    return Split(None, windows.take(rows[:first_test]), windows.take(rows[first_test:]), 0)


def split_by_files(train: Windows, test: Windows) -> Split:
    """Two files that somebody has split. Raises TooFewWindows where either is empty."""
    if not len(train) or not len(test):
        raise TooFewWindows(f"{len(train)} windows to train on and {len(test)} to test on")
    return Split(None, train, test, 0)


def _first_test(windows: int, train_share: float) -> int:
    if not 0 < train_share < 1:
        raise ValueError(f"train_share is {train_share}, expected a number between 0 and 1")
    first_test = round(windows * train_share)
    if not 0 < first_test < windows:
        raise TooFewWindows(f"{windows} windows are too few to split at {train_share:.0%}")
    return first_test


def _split(windows: Windows, cut: datetime, first_test: int) -> TimeSplit:
    """The rows before `first_test` that have ended before the cut, and the rows from it on."""
    rows = np.arange(len(windows))
    has_ended = (windows.spans["ends_at"] < cut).to_numpy()
    train = windows.take(rows[:first_test][has_ended[:first_test]])
    test = windows.take(rows[first_test:])
    return TimeSplit(cut, train, test, embargoed=first_test - len(train))
