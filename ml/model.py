"""A model: a fitted detector with the threshold and the picture of normal that belong to it.

The three are fitted, saved and loaded together, so that a score never meets the threshold of
another model.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ml.detectors import Detector, Floats, fit_out_of_fold, out_of_fold_scores
from ml.evaluation import windows_per_day
from ml.explanation import Explanation, Score, explain
from ml.families import create, family
from ml.profile import NormalProfile
from ml.splits import TooFewWindows
from ml.tails import Tail
from ml.thresholds import budget_threshold, false_alarm_share, quantile_threshold
from ml.windows import Windows

Severity = Literal["low", "medium", "high", "critical"]

# Of windows that nobody has looked at, so many may be anomalous.
CONTAMINATION = 0.02
# Fewer windows than this say too little to judge others by.
LEAST_WINDOWS = 10


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
    """Scores mean the same under every family: the surprise of `Tail`, by the detector's scores of
    normal windows that it was not fitted on.

    parameters: of the detector, where they are not its defaults. budget: the threshold that an
    alert budget gives, None for that of normal windows. about: what it has learnt, for people and
    the gate: the source, the period, the version of its template catalogue.
    """

    family: str
    detector: Detector
    profile: NormalProfile
    tail: Tail
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: float | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def train(
        cls,
        family_name: str,
        normal: Windows,
        contamination: float = 0.0,
        seed: int = 0,
        odd: Windows | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> "Model":
        """Fit on windows taken to be normal.

        contamination: the share of them that may be anomalous all the same; `CONTAMINATION` where
        nobody has looked. odd: known anomalies, for families that learn from them. parameters: of
        the detector, see `families.create`. Raises TooFewWindows with what is needed.
        """
        if len(normal) < LEAST_WINDOWS:
            raise TooFewWindows(
                f"{len(normal)} windows to train on, at least {LEAST_WINDOWS} are needed: "
                "choose a longer period or wait for more logs"
            )
        anomalous = int(contamination * len(normal))
        new_detector = partial(create, family_name, anomalous, seed, odd, parameters)
        detector, normal_scores = fit_out_of_fold(new_detector, normal)
        profile = NormalProfile.fit(normal, anomalous)
        return cls(family_name, detector, profile, Tail(normal_scores), parameters or {})

    def within(self, alerts_per_day: float | None, learnt: Windows) -> "Model":
        """The same with the threshold of an alert budget, where there is one. learnt: says how many
        windows make a day; raises TooFewWindows where they have no times."""
        if alerts_per_day is None:
            return self
        budget = budget_threshold(alerts_per_day, windows_per_day(learnt))
        return replace(self, budget=budget)

    @property
    def threshold(self) -> float:
        """A window is an anomaly when its score is above."""
        if self.budget is not None:
            return self.budget
        normal_scores = self.tail.surprise(self.tail.sample)
        return quantile_threshold(normal_scores, false_alarm_share(len(normal_scores)))

    def score(self, windows: Windows) -> Floats:
        """How surprising each window is, shape (n,): 3 is what one normal window in a thousand
        reaches."""
        return self.tail.surprise(self.detector.score(windows))

    def judge(self, windows: Windows) -> Judgement:
        scores = self.score(windows)
        return _judgement(scores, self.threshold, self.tail, windows, self.profile, self.score)

    def save(self, folder: Path) -> None:
        """Write `model.json`, `tail.npz` and two folders; nothing in them is a pickle."""
        for name, part in (("detector", self.detector), ("profile", self.profile)):
            (folder / name).mkdir(parents=True)
            part.save(folder / name)
        np.savez_compressed(folder / "tail.npz", sample=self.tail.sample)
        told = {name: getattr(self, name) for name in ("family", "parameters", "budget", "about")}
        (folder / "model.json").write_text(json.dumps({**told, "threshold": self.threshold}))

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """The model that `save` wrote. A pickle among its files is refused with a ValueError."""
        told = json.loads((folder / "model.json").read_text())
        name = told["family"]
        with np.load(folder / "tail.npz", allow_pickle=False) as arrays:
            tail = Tail(arrays["sample"])
        detector = family(name).load(folder / "detector")
        profile = NormalProfile.load(folder / "profile")
        del told["threshold"]  # for readers of the file: it follows from the rest
        return cls(detector=detector, profile=profile, tail=tail, **told)


def judge_without_model(history: Windows, night: Windows) -> Judgement:
    """The first nights: `novelty`, fitted on what came before, or where that is too little, on
    the night itself, each part of it judged by the others."""
    if len(history) >= LEAST_WINDOWS:
        return Model.train("novelty", history, CONTAMINATION).judge(night)
    if len(night) < 2:
        return Judgement(np.zeros(len(night)), 0.0, [])
    anomalous = int(CONTAMINATION * len(night))
    scores = out_of_fold_scores(partial(create, "novelty", anomalous), night)
    tail = Tail(scores)
    surprise = tail.surprise(scores)
    # The oddest window of a small night may be flagged too: nothing says that it is normal.
    share = max(false_alarm_share(len(night)), 1.5 / (len(night) + 1))
    threshold = quantile_threshold(surprise, share)
    # Those that judged a part each have not seen the same: one that has explains what all flagged.
    usual = night.where(surprise <= threshold)
    detector = create("novelty").fit(usual)
    profile = NormalProfile.fit(usual)
    return _judgement(surprise, threshold, tail, night, profile, detector.score)


def severity_of(score: float, largest: float) -> Severity:
    """How odd a flagged window is, next to the oddest normal one: below that low, below one and a
    half times as odd medium, below two and a half times high, else critical."""
    units = score / largest if largest else math.inf
    if units < 1:
        return "low"
    if units < 1.5:
        return "medium"
    return "high" if units < 2.5 else "critical"


def _judgement(
    scores: Floats,
    threshold: float,
    tail: Tail,
    windows: Windows,
    profile: NormalProfile,
    score: Score,
) -> Judgement:
    """profile, score: what explains, see `explain`."""
    rows = np.flatnonzero(scores > threshold)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    explanations = explain(profile, windows.take(rows), score)
    largest = float(tail.surprise(tail.sample).max())
    anomalies = [
        Anomaly(int(row), float(scores[row]), severity_of(float(scores[row]), largest), why)
        for row, why in zip(rows, explanations, strict=True)
    ]
    return Judgement(scores, threshold, anomalies)
