"""A model: a fitted detector with the threshold and the picture of normal that belong to it.

The three are fitted, saved and loaded together, so that a score never meets the threshold of
another model.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ml.detectors import Detector, Floats, out_of_fold_scores
from ml.explanation import Explanation, explain
from ml.families import family
from ml.profile import NormalProfile
from ml.splits import TooFewWindows
from ml.thresholds import quantile_threshold
from ml.windows import Windows

Severity = Literal["low", "medium", "high", "critical"]

# One window in two hundred of the normal ones may be flagged.
FALSE_ALARM_SHARE = 0.005
# Fewer windows than this say too little to judge others by.
LEAST_WINDOWS = 50
# Where normal windows all score alike, a unit of severity is at least this much.
LEAST_UNIT = 1e-6
PLAIN_FIELDS = ("family", "threshold", "typical", "largest")


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A flagged window: its row among the windows judged, and why."""

    row: int
    score: float
    severity: Severity
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Judgement:
    """scores: shape (n,), one for each window judged; anomalies: the flagged, most odd first."""

    scores: Floats
    threshold: float
    anomalies: list[Anomaly]


@dataclass(frozen=True, slots=True)
class Model:
    """`typical` is the median and `largest` the highest score of normal windows, out of fold: what
    severity is measured by."""

    family: str
    detector: Detector
    profile: NormalProfile
    threshold: float
    typical: float
    largest: float

    @classmethod
    def train(cls, family_name: str, normal: Windows) -> "Model":
        """Fit on windows taken to be normal; the threshold comes from out-of-fold scores.

        Raises TooFewWindows with what is needed.
        """
        if len(normal) < LEAST_WINDOWS:
            raise TooFewWindows(
                f"{len(normal)} windows to train on, at least {LEAST_WINDOWS} are needed: "
                "choose a longer period or wait for more logs"
            )
        detector_class = family(family_name)
        unseen_scores = out_of_fold_scores(detector_class, normal)
        return cls(
            family=family_name,
            detector=detector_class().fit(normal),
            profile=NormalProfile.fit(normal),
            threshold=quantile_threshold(unseen_scores, FALSE_ALARM_SHARE),
            typical=float(np.median(unseen_scores)),
            largest=float(unseen_scores.max()),
        )

    def judge(self, windows: Windows) -> Judgement:
        scores = self.detector.score(windows)
        severity = partial(severity_of, typical=self.typical, largest=self.largest)
        return _judgement(scores, self.threshold, severity, self.profile, windows)

    def save(self, folder: Path) -> None:
        """Write `model.json` and two folders; nothing in them is a pickle."""
        for name, part in (("detector", self.detector), ("profile", self.profile)):
            (folder / name).mkdir(parents=True)
            part.save(folder / name)
        about = {name: getattr(self, name) for name in PLAIN_FIELDS}
        (folder / "model.json").write_text(json.dumps(about, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Model":
        about = json.loads((folder / "model.json").read_text())
        return cls(
            detector=family(about["family"]).load(folder / "detector"),
            profile=NormalProfile.load(folder / "profile"),
            **about,
        )


def judge_without_model(history: Windows, night: Windows) -> Judgement:
    """The first nights: `novelty`, fitted on what came before, or where that is too little, on
    the night itself, each part of it judged by the others."""
    if len(history) >= LEAST_WINDOWS:
        return Model.train("novelty", history).judge(night)
    if len(night) < 2:
        return Judgement(np.zeros(len(night)), 0.0, [])
    scores = out_of_fold_scores(family("novelty"), night)
    # The oddest window of a small night may be flagged too: nothing says that it is normal.
    threshold = quantile_threshold(scores, max(FALSE_ALARM_SHARE, 1.5 / (len(night) + 1)))
    is_usual = scores <= threshold
    severity = partial(
        severity_of, typical=float(np.median(scores)), largest=float(scores[is_usual].max())
    )
    usual = NormalProfile.fit(night.where(is_usual))
    return _judgement(scores, threshold, severity, usual, night)


def severity_of(score: float, *, typical: float, largest: float) -> Severity:
    """How odd a flagged window is, next to the oddest normal one.

    With one unit from the typical to the largest normal score: below one low, below one and a half
    medium, below two and a half high, else critical.
    """
    units = (score - typical) / max(largest - typical, LEAST_UNIT)
    if units < 1:
        return "low"
    if units < 1.5:
        return "medium"
    return "high" if units < 2.5 else "critical"


def _judgement(
    scores: Floats,
    threshold: float,
    severity: Callable[[float], Severity],
    profile: NormalProfile,
    windows: Windows,
) -> Judgement:
    rows = np.flatnonzero(scores > threshold)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    explanations = explain(profile, windows.take(rows))
    anomalies = [
        Anomaly(
            int(row),
            float(scores[row]),
            severity(float(scores[row])),
            explanation,
        )
        for row, explanation in zip(rows, explanations, strict=True)
    ]
    return Judgement(scores, threshold, anomalies)
