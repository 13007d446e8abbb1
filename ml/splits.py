"""Splits along time. There is no other kind here, so that a shuffled one cannot be written.

A window belongs to the training part when it has ended before the cut, and to the test part when
it starts at the cut or later. What straddles the cut is in neither: that gap is the embargo.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ml.windows import Windows


class TooFewWindows(ValueError):
    """There is too little to learn from; the message says how much is needed."""


@dataclass(frozen=True, slots=True)
class TimeSplit:
    cut: datetime
    train: Windows
    test: Windows
    embargoed: int


def split_at(windows: Windows, cut: datetime) -> TimeSplit:
    """The windows before and from `cut` (UTC, aware)."""
    ended = (windows.spans["ends_at"] < cut).to_numpy()
    started = (windows.spans["starts_at"] >= cut).to_numpy()
    train, test = windows.where(ended), windows.where(started)
    return TimeSplit(cut, train, test, embargoed=len(windows) - len(train) - len(test))


def split_by_share(windows: Windows, train_share: float) -> TimeSplit:
    """Cut where this share of the windows, in order of their start, has started.

    Raises TooFewWindows where that leaves either part without a window.
    """
    if not 0 < train_share < 1:
        raise ValueError(f"train_share is {train_share}, expected a number between 0 and 1")
    first_test = round(len(windows) * train_share)
    if not 0 < first_test < len(windows):
        raise TooFewWindows(f"{len(windows)} windows are too few to split at {train_share:.0%}")
    split = split_at(windows, windows.spans["starts_at"][first_test])
    if not len(split.train):
        raise TooFewWindows(f"no window has ended before {split.cut:%Y-%m-%d %H:%M} UTC, the cut")
    return split


def folds(windows: Windows, count: int) -> list[np.ndarray]:
    """Row numbers of `count` contiguous blocks in order of time, for out-of-fold scores.

    Fewer blocks where there are fewer windows.
    """
    return [block for block in np.array_split(np.arange(len(windows)), count) if len(block)]
