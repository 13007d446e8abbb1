"""Thresholds: from which score on a window is called an anomaly.

A detector scores, a threshold decides. Thresholds come from scores that the detector gave to
normal windows it had not been fitted on, never from the windows that are to be judged: as a
quantile of these, or from an alert budget, for which the tail beyond them is fitted (`ml.tails`).
"""

import math

import numpy as np
import numpy.typing as npt

# One normal window in a thousand may be flagged,
LEAST_SHARE = 0.001
# but a quantile rests on about ten windows beyond it,
WINDOWS_BEYOND = 10
# and never more than one window in ten.
LARGEST_SHARE = 0.1


def false_alarm_share(windows: int) -> float:
    """The share of normal windows that may be flagged, when so many were there to learn from.

    >>> false_alarm_share(50), false_alarm_share(1_000), false_alarm_share(50_000)
    (0.1, 0.01, 0.001)
    """
    return max(LEAST_SHARE, min(LARGEST_SHARE, WINDOWS_BEYOND / windows))


def quantile_threshold(normal_scores: npt.NDArray[np.float64], share: float) -> float:
    """The lowest threshold that at most this share of normal windows lies above.

    A window is an anomaly when its score is *above* the threshold. With fewer than
    1 / share windows that is their largest score: only what is odder than all that is
    known stands out.

    >>> float(quantile_threshold(np.array([1.0, 2.0, 3.0, 4.0]), 0.25))
    3.0
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of false alarms is {share}, expected 0 up to 1")
    if not len(normal_scores):
        raise ValueError("a threshold needs the scores of at least one normal window")
    ordered = np.sort(normal_scores)
    allowed = math.floor(len(ordered) * share)
    return float(ordered[len(ordered) - 1 - allowed])


def budget_threshold(alerts: float, windows: float) -> float:
    """The surprise (`ml.tails`, -log10 of a tail probability) that at most so many alerts of so
    many normal windows lie above, as far as is to be expected.

    >>> budget_threshold(alerts=5, windows=5_000)
    3.0
    """
    if alerts <= 0 or windows <= 0:
        raise ValueError(f"{alerts} alerts of {windows} windows: expected more than none of each")
    return max(0.0, math.log10(windows / alerts))
