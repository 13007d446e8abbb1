"""What tuning aims at: how well a family, so set, ranks the later windows of each fold.

Folds are rolling origins of the windows before the held-out period, which tuning never sees. A fold
fits the detector alone: a rank needs no threshold, and so no scores out of fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution

from ml.detectors import Detector, Floats
from ml.evaluation import Setting, alerts_per_day, evaluate, windows_per_day
from ml.families import create, default_parameters, family, takes
from ml.injection import found_by_kind
from ml.model import CONTAMINATION, Model
from ml.ranking import Measure, Ranking
from ml.splits import Split, rolling_origins
from ml.thresholds import false_alarm_share
from ml.trials import Trial
from ml.windows import Windows

Bools = npt.NDArray[np.bool_]

# The setting that says which share of what is learnt may be anomalous.
ASSUMED = "contamination"

# Half of the windows is enough to learn from; the later origin learns as much as a champion does.
ORIGINS = (0.5, 0.75)
# Fewer labelled anomalies than this rank nothing reliably.
LEAST_LABELLED = 10


@dataclass(frozen=True, slots=True)
class Exam:
    """Later windows to be judged after earlier ones were learnt.

    trial: both, with the truth. odd: known anomalies of the earlier part. measure: the figure.
    """

    trial: Trial
    odd: Windows
    measure: Measure

    @classmethod
    def of(
        cls,
        split: Split,
        in_train: Bools,
        in_test: Bools,
        seed: int,
        alerts_per_day: float | None = None,
    ) -> "Exam":
        """in_train, in_test: which windows of each part are labelled anomalous.

        With `LEAST_LABELLED` labelled anomalies to find the figure is average precision; else
        faults are planted, and it is the recall at the budget: `alerts_per_day`, or as many false
        alarms as a threshold from so many normal windows allows. Raises Leak where training holds
        anything of what is to be judged.
        """
        normal = replace(split, train=split.train.where(~in_train))
        setting: Setting = "normal"
        measure = Measure()
        if in_test.sum() < LEAST_LABELLED:
            setting = "injected"
            measure = Measure(_allowed(split.test, alerts_per_day))
        trial = Trial.of(
            normal, setting, np.zeros(len(normal.train), dtype=np.bool_), in_test, seed
        )
        trial.leaks.refuse_leak()
        return cls(trial, split.train.where(in_train), measure)

    def figure(self, scores: Floats) -> float:
        return self.measure(Ranking(scores, self.trial.is_anomalous))

    def fitted(self, name: str, settings: Mapping[str, Any], seed: int) -> Detector:
        """A detector of a family that has learnt the earlier part. settings: see `search_space`."""
        parameters, contamination = parted(settings)
        anomalous = int(contamination * len(self.trial.learnt))
        return create(name, anomalous, seed, self.odd, parameters).fit(self.trial.learnt)

    def trained(
        self,
        name: str,
        settings: Mapping[str, Any],
        seed: int,
        alerts_per_day: float | None = None,
    ) -> Model:
        """The same with its threshold, that of the budget where there is one, and explanations."""
        parameters, contamination = parted(settings)
        learnt = self.trial.learnt
        model = Model.train(name, learnt, contamination, seed, self.odd, parameters)
        return model.within(alerts_per_day, learnt)

    def metrics(self, scores: Floats, threshold: float) -> dict[str, float]:
        """What is told of a trained model, by name: the figure, those that its threshold gives,
        and the share found of each kind of planted fault."""
        test, is_flagged = self.trial.test, scores > threshold
        metrics = evaluate(scores, threshold, self.trial.is_anomalous).as_metrics()
        metrics |= {"threshold": threshold, "held_out_figure": self.figure(scores)}
        per_day = alerts_per_day(test, is_flagged)
        if per_day is not None:
            metrics["alerts_per_day"] = per_day
        if self.trial.kinds is not None:
            found = found_by_kind(is_flagged, self.trial.kinds)
            metrics |= {f"found.{kind}": each.share for kind, each in found.items()}
        return metrics


def search_space(name: str, *, has_labels: bool) -> dict[str, BaseDistribution]:
    """The settings of a family that are worth tuning: its parameters and, where nobody has looked
    for anomalies, whether some of what it learns may be anomalous. Which of these is better depends
    on the logs: an assumption that is wrong hides small faults, one that is missing those that
    came before."""
    space = dict(family(name).SEARCH_SPACE)
    if takes(name, "anomalous") and not has_labels:
        space[ASSUMED] = CategoricalDistribution([CONTAMINATION, 0.0])
    return space


def first_settings(name: str, *, has_labels: bool) -> list[dict[str, Any]]:
    """What is tried first: the defaults; they without the assumption; and of a space that is but a
    list of choices all the others."""
    space = search_space(name, has_labels=has_labels)
    defaults = default_parameters(name)
    first = [defaults]
    if ASSUMED in space:
        first = [{**defaults, ASSUMED: share} for share in (CONTAMINATION, 0.0)]
    return [*first, *(each for each in all_settings(space) or [] if each not in first)]


def all_settings(space: Mapping[str, BaseDistribution]) -> list[dict[str, Any]] | None:
    """All settings of a space of choices; None for one that holds more than anyone tries."""
    choices = []
    for each in space.values():
        if not isinstance(each, CategoricalDistribution):
            return None
        choices.append(each.choices)
    return [dict(zip(space, values, strict=True)) for values in product(*choices)]


def parted(settings: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """The parameters of the detector, and the share of what is learnt that may be anomalous."""
    parameters = dict(settings)
    return parameters, parameters.pop(ASSUMED, 0.0)


def folds(
    windows: Windows, is_anomalous: Bools, seed: int, alerts_per_day: float | None = None
) -> list[Exam]:
    """The rolling origins that tuning is judged on. is_anomalous: as labelled, shape (n,).

    Raises TooFewWindows.
    """
    return [
        Exam.of(
            split,
            marked(split.train, windows, is_anomalous),
            marked(split.test, windows, is_anomalous),
            seed,
            alerts_per_day,
        )
        for split in rolling_origins(windows, ORIGINS)
    ]


def marked(part: Windows, windows: Windows, is_anomalous: Bools) -> Bools:
    """Which windows of a part are among the anomalous ones of the whole, shape (len(part),)."""
    ids = windows.spans["window_id"].filter(is_anomalous)
    return part.spans["window_id"].is_in(ids.implode()).to_numpy()


def _allowed(windows: Windows, alerts_per_day: float | None) -> float:
    """The share of these windows that may be false alarms."""
    if alerts_per_day is None:
        return false_alarm_share(len(windows))
    return min(1.0, alerts_per_day / windows_per_day(windows))
