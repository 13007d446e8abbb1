"""Tail probabilities: how often would a normal window score at least this high?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Tail:
    """The upper tail of the scores of n normal windows.

    sample: shape (n,), at least one.

    At the k-th largest score the probability is (k + 1) / (n + 1), the conformal estimate, which
    holds at any n; between two scores its logarithm is interpolated, so that ranks are kept.
    Beyond the largest it falls as one over the excess (a generalised Pareto tail of shape one, on
    the scale of the sample's own largest tenth): slowly, since nothing is known there, but so that
    what is more extreme still ranks higher.
    """

    sample: Floats

    def surprise(self, scores: Floats) -> Floats:
        """-log10 of the probability, shape (m,) in, shape (m,) out, never below zero: 3 is what
        one normal window in a thousand reaches."""
        ordered = np.sort(self.sample)
        values, first = np.unique(ordered, return_index=True)
        at_or_above = len(ordered) - first
        known = np.log10((len(ordered) + 1) / (at_or_above + 1))
        # Between two scores that are next to equal, rounding would overshoot the upper one.
        upper = known[np.minimum(np.searchsorted(values, scores), len(values) - 1)]
        inside = np.minimum(np.interp(scores, values, known, left=0), upper)
        excess = scores - values[-1]
        beyond = np.log10(len(ordered) + 1) + np.log10(1 + np.maximum(excess, 0) / _scale(ordered))
        return np.where(excess > 0, beyond, inside)


def _scale(ordered: Floats) -> float:
    """The mean excess of the largest tenth over the rest; where these are all alike, the spread
    of the whole sample; where it has none, one."""
    top = ordered[-max(2, round(len(ordered) * TOP_SHARE)) :]
    for scale in (float((top - top[0]).mean()), float(ordered.std())):
        if scale > 0:
            return scale
    return 1.0
