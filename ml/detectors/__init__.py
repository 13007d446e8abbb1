"""Detectors: the families that score windows.

Where do I go to…
- add a family? A file beside this one with a class that keeps the `Detector` contract, its test,
  and one line in `ml/families.py`.
- see what a family knows and why its parameters are as they are? The docstring of its class.
- turn scores into decisions? `ml.thresholds`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

from ml.windows import Windows

Floats = npt.NDArray[np.float64]

FOLDS = 5
MANY_FOLDS = 10
FEW_WINDOWS = 1000


class Detector(Protocol):
    """Fits on windows taken to be normal and scores any windows.

    High always means anomalous. The constructor only stores parameters; what is learnt ends in an
    underscore. The same windows, parameters and seed give the same scores.

    One that comes by out-of-fold scores of its windows while it is fitted keeps them, shape (n,),
    as `normal_scores_`, so that nobody fits it again for them.

    SEARCH_SPACE: the parameters of the constructor that are worth tuning, and where to look; each
    has a default that lies within. Empty where there is nothing to tune.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]]

    def fit(self, windows: Windows) -> Self:
        """Learn from at least one window. Raises ValueError when given none."""

    def score(self, windows: Windows) -> Floats:
        """One finite score a window, shape (n,)."""

    def save(self, folder: Path) -> None:
        """Write what was learnt into an existing folder, without pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The detector that `save` wrote."""


def fit_out_of_fold(create: Callable[[], Detector], windows: Windows) -> tuple[Detector, Floats]:
    """A detector fitted on these windows, and scores of them by detectors that were not, shape
    (n,)."""
    detector = create().fit(windows)
    scores = getattr(detector, "normal_scores_", None)
    return detector, out_of_fold_scores(create, windows) if scores is None else scores


def out_of_fold_scores(create: Callable[[], Detector], windows: Windows) -> Floats:
    """Scores of windows by detectors that were not fitted on them, shape (n,).

    Each fold takes every fifth window (every tenth of few, which need nearly all of the others to
    learn from) and is scored by a detector fitted on the rest. Neighbours in time part that way:
    what came in one hour only does not count as unseen in all of its windows at once. Needs at
    least two windows.
    """
    if len(windows) < 2:
        raise ValueError(f"out-of-fold scores need two windows or more, got {len(windows)}")
    count = MANY_FOLDS if len(windows) < FEW_WINDOWS else FOLDS
    scores = np.empty(len(windows))
    of_fold = np.arange(len(windows)) % min(count, len(windows))
    for fold in range(of_fold.max() + 1):
        left_out = of_fold == fold
        detector = create().fit(windows.where(~left_out))
        scores[left_out] = detector.score(windows.where(left_out))
    return scores
