"""How well scores rank anomalies above normal windows, whatever the threshold.

Two figures, each under any weights of the windows, so that a bootstrap ranks them once:

    average precision     where enough of the windows are labelled
    recall at the budget  where faults are planted: the share of them above the score that no more
                          than an allowed share of normal windows lies above
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Neighbours in time are alike: they are drawn together.
BLOCK = timedelta(hours=1)
ROUNDS = 500


class Ranking:
    """Windows by score, ranked once. scores, is_anomalous: shape (n,)."""

    def __init__(self, scores: Floats, is_anomalous: Bools) -> None:
        self.order = np.argsort(-scores, kind="stable")
        ranked = scores[self.order]
        self.is_anomalous = is_anomalous[self.order]
        # The last row of each run of equal scores.
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def __len__(self) -> int:
        return len(self.order)

    def sums(self, weights: Ints | None) -> tuple[Floats, Floats]:
        """Anomalous windows, and all windows, down to each rank, shape (n,) each."""
        drawn = np.ones(len(self)) if weights is None else weights[self.order]
        return np.cumsum(drawn * self.is_anomalous), np.cumsum(drawn)

    def average_precision(self, weights: Ints | None = None) -> float:
        """NaN where nothing is anomalous."""
        hits, seen = self.sums(weights)
        gained = np.diff(hits[self.ends], prepend=0)
        at_end = hits[self.ends] / np.maximum(seen[self.ends], 1)
        return float(gained @ at_end / hits[-1]) if len(hits) and hits[-1] else np.nan

    def recall_at(self, allowed: float, weights: Ints | None = None) -> float:
        """The share of anomalous windows above the lowest threshold that no more than an allowed
        share of normal windows lies above; NaN where nothing is anomalous."""
        hits, seen = self.sums(weights)
        if not len(hits) or not hits[-1]:
            return np.nan
        false_alarms = (seen - hits)[self.ends]
        fitting = np.flatnonzero(false_alarms <= allowed * false_alarms[-1])
        return float(hits[self.ends[fitting[-1]]] / hits[-1]) if len(fitting) else 0.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One of the two figures. allowed: for the recall, the share of normal windows that may lie
    above; None for average precision."""

    allowed: float | None = None

    @property
    def name(self) -> str:
        return "average precision" if self.allowed is None else "recall at the budget"

    def __call__(self, ranking: Ranking, weights: Ints | None = None) -> float:
        if self.allowed is None:
            return ranking.average_precision(weights)
        return ranking.recall_at(self.allowed, weights)


def draws(n: int, seed: int, blocks: Ints | None) -> Iterator[Ints]:
    """How often each of n rows is drawn, with replacement, in each of `ROUNDS` rounds.

    They follow from n, the seed and the blocks alone. blocks: shape (n,), rows of one block are
    drawn together.
    """
    rng = np.random.default_rng(seed)
    _, block = np.unique(np.arange(n) if blocks is None else blocks, return_inverse=True)
    count = int(block.max(initial=-1)) + 1
    for _ in range(ROUNDS if n else 0):
        yield np.bincount(rng.integers(count, size=count), minlength=count)[block]


def blocks_of(windows: Windows) -> Ints | None:
    """The block of time in which each window starts; None for windows that are drawn alone:
    sessions, and those without times."""
    columns = windows.spans.columns
    if "starts_at" not in columns or windows.spans["session_key"].is_not_null().any():
        return None
    starts = windows.spans["starts_at"].dt.epoch("us").to_numpy()
    return np.asarray(starts // (BLOCK // timedelta(microseconds=1)), dtype=np.int64)
