"""Tail probabilities: how often would a normal window look at least this odd?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tail:
    """The upper tail of a statistic over n normal windows.

    Inside the sample the probability of a value x is (k + 1) / (n + 1) with k windows at x or
    above, the conformal estimate, which holds at any n. Beyond the largest value it falls
    exponentially with the excess, at the scale of the sample's own largest tenth, so that more
    extreme windows still rank higher.
    """

    sample: Floats

    def log10_probability(self, values: Floats) -> Floats:
        """Shape (n,) in, shape (n,) out, never above zero."""
        ordered = np.sort(self.sample)
        at_or_above = len(ordered) - np.searchsorted(ordered, values, side="left")
        inside = np.log10((at_or_above + 1) / (len(ordered) + 1))
        scale = max(float(ordered[-max(1, len(ordered) // 10) :].mean()), 1.0)
        excess = np.maximum(values - ordered[-1], 0.0)
        log10_p: Floats = inside - excess / scale * np.log10(np.e)
        return log10_p
