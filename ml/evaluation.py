"""How good a detector is on windows whose truth is known.

Where do I go to…
- split windows into training and test? `ml.splits`.
- see what of the test part was known before? `ml.leaks`.
- measure without labels? `ml.injection`.

The settings, one of which stands beside every figure:

    normal        windows that are labelled anomalous are left out of training
    contaminated  nothing is left out, as with logs that nobody has labelled
    injected      no labels: faults are planted in the later windows, and looked for
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from ml.ranking import Ranking, blocks_of, draws
from ml.splits import TooFewWindows
from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Setting = Literal["normal", "contaminated", "injected"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)

# Anomalous windows that start no further apart than this belong to one incident.
INCIDENT_GAP = timedelta(minutes=5)
CONFIDENCE = 0.95
RATIOS = ("precision", "recall", "f1", "average_precision")
SECONDS_PER_DAY = 86_400


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


@dataclass(frozen=True, slots=True)
class Incidents:
    """Anomalous windows near in time, counted once.

    found: of which at least one window is flagged. seconds_to_detect: the median over those, from
    the start of the incident's first window to the last event of its first flagged one; the wait
    until that window closes and is judged comes on top.
    """

    count: int
    found: int
    recall: float | None
    seconds_to_detect: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said of one detector on one test part.

    over_all: over the windows; over_distinct: over their distinct sequences, see there.
    intervals: 95 %, of the ratios over all windows, by name.
    """

    over_all: Figures
    over_distinct: Figures
    intervals: dict[str, tuple[float, float]]
    alerts_per_day: float | None
    incidents: Incidents | None


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over folds or seeds."""

    median: float
    least: float
    most: float


def evaluate(
    scores: Floats, threshold: float, is_anomalous: Bools, weights: Ints | None = None
) -> Figures:
    """scores and is_anomalous: shape (n,). A window is flagged when its score is above.

    weights: shape (n,), how many equal windows each one stands for; one each if not given.
    """
    counts = np.ones(len(scores), dtype=np.int64) if weights is None else weights
    is_flagged = scores > threshold
    hits, flagged, anomalous = (
        int(counts[mask].sum()) for mask in (is_flagged & is_anomalous, is_flagged, is_anomalous)
    )
    return Figures(
        windows=int(counts.sum()),
        anomalous=anomalous,
        flagged=flagged,
        true_positives=hits,
        precision=hits / flagged if flagged else None,
        recall=hits / anomalous if anomalous else None,
        f1=2 * hits / (flagged + anomalous) if flagged + anomalous else None,
        average_precision=(
            float(average_precision_score(is_anomalous, scores, sample_weight=counts))
            if anomalous
            else None
        ),
    )


def report(
    windows: Windows,
    scores: Floats,
    threshold: float,
    is_anomalous: Bools,
    seed: int,
) -> Report:
    """Everything on one test part. scores and is_anomalous: shape (n,), for these windows.

    The bootstrap draws blocks of time, or single windows where these are sessions or have no
    times.
    """
    distinct_scores, distinct_truth = over_distinct(windows, scores, is_anomalous)
    return Report(
        over_all=evaluate(scores, threshold, is_anomalous),
        over_distinct=evaluate(distinct_scores, threshold, distinct_truth),
        intervals=bootstrap(scores, threshold, is_anomalous, seed, blocks=blocks_of(windows)),
        alerts_per_day=alerts_per_day(windows, scores > threshold),
        incidents=incidents(windows, scores > threshold, is_anomalous),
    )


def over_distinct(windows: Windows, scores: Floats, is_anomalous: Bools) -> tuple[Floats, Bools]:
    """Scores and truth of the distinct sequences of templates, shape (d,) each.

    However many windows repeat a sequence, it counts once: with the highest of their scores, and
    as anomalous where any of them is.
    """
    rows, places = windows.distinct()
    highest = np.full(len(rows), -np.inf)
    np.maximum.at(highest, places, scores)
    truth = np.zeros(len(rows), dtype=np.bool_)
    np.logical_or.at(truth, places, is_anomalous)
    return highest, truth


def windows_per_day(windows: Windows) -> float:
    """From the first start to the last event. Raises TooFewWindows where these are one moment or
    not known."""
    days = _days(windows)
    if not days:
        raise TooFewWindows(f"{len(windows)} windows that span no time: how many make a day?")
    return len(windows) / days


def alerts_per_day(windows: Windows, is_flagged: Bools) -> float | None:
    """Flagged windows per day of logs, from the first start to the last event; None without
    times."""
    days = _days(windows)
    return float(is_flagged.sum() / days) if days else None


def _days(windows: Windows) -> float | None:
    if not len(windows) or "starts_at" not in windows.spans.columns:
        return None
    start, end = windows.spans["starts_at"].min(), windows.spans["ends_at"].max()
    return float((end - start).total_seconds() / SECONDS_PER_DAY)  # type: ignore[operator, union-attr]


def incident_numbers(windows: Windows, is_anomalous: Bools) -> Ints:
    """The incident of each window from 0 on, -1 for normal ones, shape (n,).

    An anomalous window goes on with the incident of the anomalous window before it when it starts
    no later than `INCIDENT_GAP` after that.
    """
    numbers = np.full(len(windows), -1, dtype=np.int64)
    rows = np.flatnonzero(is_anomalous)
    if len(rows):
        distances = np.diff(_microseconds(windows, "starts_at")[rows])
        is_new = distances > INCIDENT_GAP // timedelta(microseconds=1)
        numbers[rows] = np.concatenate([[0], np.cumsum(is_new)])
    return numbers


def incidents(windows: Windows, is_flagged: Bools, is_anomalous: Bools) -> Incidents | None:
    """How many incidents are found, and how soon; None for windows without times."""
    if "starts_at" not in windows.spans.columns:
        return None
    numbers = incident_numbers(windows, is_anomalous)
    count = int(numbers.max(initial=-1)) + 1
    begins = np.full(count, np.iinfo(np.int64).max)
    seen = begins.copy()
    hits = is_flagged & is_anomalous
    np.minimum.at(begins, numbers[is_anomalous], _microseconds(windows, "starts_at")[is_anomalous])
    np.minimum.at(seen, numbers[hits], _microseconds(windows, "ends_at")[hits])
    found = np.unique(numbers[hits])
    seconds = (seen - begins)[found] / 1e6
    return Incidents(
        count=count,
        found=len(found),
        recall=len(found) / count if count else None,
        seconds_to_detect=float(np.median(seconds)) if len(found) else None,
    )


def bootstrap(
    scores: Floats,
    threshold: float,
    is_anomalous: Bools,
    seed: int,
    blocks: Ints | None = None,
) -> dict[str, tuple[float, float]]:
    """95 % intervals of RATIOS by drawing as many windows with replacement (`ranking.draws`).

    The draws follow from the seed, the number of windows and their blocks: detectors judged on the
    same windows meet the same draws. A ratio that no draw defines is left out.

    blocks: shape (n,), windows of one block are drawn together.
    """
    ratios = _Ratios(scores, threshold, is_anomalous)
    drawn = np.array([ratios(weights) for weights in draws(len(scores), seed, blocks)])
    tails = [100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2]
    intervals = {}
    for column, name in enumerate(RATIOS):
        values = drawn[~np.isnan(drawn[:, column]), column] if len(drawn) else drawn
        if len(values):
            low, high = np.percentile(values, tails)
            intervals[name] = (float(low), float(high))
    return intervals


def spread(values: Sequence[float | None]) -> Spread | None:
    """Median and range of a figure over folds, without those where it does not exist; None where
    it exists in none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(float(np.median(known)), min(known), max(known))


def over_folds(folds: Sequence[Figures]) -> dict[str, Spread]:
    """Median and range of each figure."""
    spreads = {
        each.name: spread([getattr(fold, each.name) for fold in folds]) for each in fields(Figures)
    }
    return {name: found for name, found in spreads.items() if found is not None}


def _microseconds(windows: Windows, column: str) -> Ints:
    return windows.spans[column].dt.epoch("us").to_numpy()


class _Ratios:
    """RATIOS under any weights; the windows are ranked once."""

    def __init__(self, scores: Floats, threshold: float, is_anomalous: Bools) -> None:
        self.ranking = Ranking(scores, is_anomalous)
        self.flagged = int(np.count_nonzero(scores > threshold))

    def __call__(self, weights: Ints) -> tuple[float, float, float, float]:
        """NaN for a ratio that is undefined."""
        hits, seen = self.ranking.sums(weights)
        true_positives, flagged = (
            float(sums[self.flagged - 1]) if self.flagged else 0.0 for sums in (hits, seen)
        )
        anomalous = float(hits[-1])
        return (
            _ratio(true_positives, flagged),
            _ratio(true_positives, anomalous),
            _ratio(2 * true_positives, flagged + anomalous),
            self.ranking.average_precision(weights),
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan
