"""Detectors: the families that score windows.

Where do I go to…
- add a family? A file beside this one with a class that keeps the `Detector` contract, its test,
  and one line in `ml/families.py`.
- see what a family knows and why its parameters are as they are? The docstring of its class.
- turn scores into decisions? `ml.thresholds`.
"""

from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from ml.splits import folds
from ml.windows import Windows

Floats = npt.NDArray[np.float64]


class Detector(Protocol):
    """Fits on windows taken to be normal and scores any windows.

    High always means anomalous. The constructor only stores parameters; what is learnt ends in an
    underscore. The same windows, parameters and seed give the same scores.
    """

    def fit(self, windows: Windows) -> Self:
        """Learn from at least one window. Raises ValueError when given none."""

    def score(self, windows: Windows) -> Floats:
        """One finite score a window, shape (n,)."""

    def save(self, folder: Path) -> None:
        """Write what was learnt into an existing folder, without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The detector that `save` wrote."""


def out_of_fold_scores(detector_class: type[Detector], windows: Windows, count: int = 5) -> Floats:
    """Scores of windows by detectors that were not fitted on them, shape (n,).

    Each of `count` contiguous blocks of time is scored by a detector fitted on the others. Needs
    at least two windows.
    """
    if len(windows) < 2:
        raise ValueError(f"out-of-fold scores need two windows or more, got {len(windows)}")
    scores = np.empty(len(windows))
    for block in folds(windows, count):
        others = np.setdiff1d(np.arange(len(windows)), block)
        scores[block] = detector_class().fit(windows.take(others)).score(windows.take(block))
    return scores
