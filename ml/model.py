"""A model: a fitted detector with the threshold and the picture of normal that belong to it.

The three are fitted, saved and loaded together, so that a score never meets the threshold of
another model.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ml.detectors import Detector, Floats, family, out_of_fold_scores
from ml.explanation import Explanation, explain
from ml.profile import NormalProfile
from ml.splits import TooFewWindows
from ml.thresholds import quantile_threshold
from ml.windows import Windows

Severity = Literal["low", "medium", "high", "critical"]

# One window in two hundred of the normal ones may be flagged.
FALSE_ALARM_SHARE = 0.005
# Fewer windows than this say too little to judge others by.
LEAST_WINDOWS = 50


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
    """`typical` is the median score of normal windows, the zero from which severity counts."""

    family: str
    detector: Detector
    profile: NormalProfile
    threshold: float
    typical: float

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
        )

    def judge(self, windows: Windows) -> Judgement:
        scores = self.detector.score(windows)
        return _judgement(scores, self.threshold, self.typical, self.profile, windows)

    def save(self, folder: Path) -> None:
        """Write `model.json` and two folders; nothing in them is a pickle."""
        for name, part in (("detector", self.detector), ("profile", self.profile)):
            (folder / name).mkdir(parents=True)
            part.save(folder / name)
        about = {"family": self.family, "threshold": self.threshold, "typical": self.typical}
        (folder / "model.json").write_text(json.dumps(about, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Model":
        about = json.loads((folder / "model.json").read_text())
        return cls(
            family=about["family"],
            detector=family(about["family"]).load(folder / "detector"),
            profile=NormalProfile.load(folder / "profile"),
            threshold=about["threshold"],
            typical=about["typical"],
        )


def judge_without_model(history: Windows, night: Windows) -> Judgement:
    """The first nights: `novelty`, fitted on what came before, or where that is too little, on
    the night itself, each part of it judged by the others."""
    if len(history) >= LEAST_WINDOWS:
        return Model.train("novelty", history).judge(night)
    if len(night) < 2:
        return Judgement(np.zeros(len(night)), 0.0, [])
    scores = out_of_fold_scores(family("novelty"), night)
    threshold = quantile_threshold(scores, FALSE_ALARM_SHARE)
    usual = night.where(scores <= threshold)
    return _judgement(scores, threshold, float(np.median(scores)), NormalProfile.fit(usual), night)


def severity_of(score: float, threshold: float, typical: float) -> Severity:
    """How far a score lies above the threshold, in units of the way from typical to threshold:
    below half low, below one medium, below two high, else critical."""
    unit = max(threshold - typical, 1e-9)
    excess = (score - threshold) / unit
    if excess < 0.5:
        return "low"
    if excess < 1:
        return "medium"
    return "high" if excess < 2 else "critical"


def _judgement(
    scores: Floats, threshold: float, typical: float, profile: NormalProfile, windows: Windows
) -> Judgement:
    rows = np.flatnonzero(scores > threshold)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    explanations = explain(profile, windows.take(rows))
    anomalies = [
        Anomaly(
            int(row),
            float(scores[row]),
            severity_of(float(scores[row]), threshold, typical),
            explanation,
        )
        for row, explanation in zip(rows, explanations, strict=True)
    ]
    return Judgement(scores, threshold, anomalies)
