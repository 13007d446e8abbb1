"""How good a detector is on windows whose truth is known."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and ratios over n windows; a ratio without a denominator is None."""

    windows: int
    anomalous: int
    flagged: int
    true_positives: int
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None

    def as_metrics(self) -> dict[str, float]:
        """The figures that exist, by name."""
        return {name: float(value) for name, value in asdict(self).items() if value is not None}


def evaluate(scores: Floats, threshold: float, is_anomalous: Bools) -> Figures:
    """scores and is_anomalous: shape (n,). A window is flagged when its score is above."""
    is_flagged = scores > threshold
    hits, flagged, anomalous = (
        int(np.count_nonzero(mask))
        for mask in (is_flagged & is_anomalous, is_flagged, is_anomalous)
    )
    return Figures(
        windows=len(scores),
        anomalous=anomalous,
        flagged=flagged,
        true_positives=hits,
        precision=hits / flagged if flagged else None,
        recall=hits / anomalous if anomalous else None,
        f1=2 * hits / (flagged + anomalous) if flagged + anomalous else None,
        average_precision=(
            float(average_precision_score(is_anomalous, scores)) if anomalous else None
        ),
    )
