"""Trials: a family learns the earlier part of some windows and is judged on the later one."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.evaluation import Report, Setting, report
from ml.injection import Found, found_by_kind, plant
from ml.leaks import LeakReport, leak_report
from ml.model import CONTAMINATION, Model
from ml.splits import Split
from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trial:
    """A split under a setting, ready for any family.

    learnt: the training windows that are learnt from. test, is_anomalous: what is judged, and its
    truth, shape (n,). kinds: the kind of fault of each test window, `""` for none; None but for
    `injected`.
    """

    setting: Setting
    learnt: Windows
    test: Windows
    is_anomalous: Bools
    kinds: npt.NDArray[np.str_] | None
    leaks: LeakReport
    seed: int

    @classmethod
    def of(
        cls, split: Split, setting: Setting, in_train: Bools, in_test: Bools, seed: int
    ) -> "Trial":
        """in_train, in_test: which windows of each part are labelled anomalous."""
        learnt, test, truth, kinds = split.train, split.test, in_test, None
        if setting == "normal":
            learnt = learnt.where(~in_train)
        if setting == "injected":
            # A known anomaly is neither planted nor normal.
            test = test.where(~in_test)
        leaks = leak_report(replace(split, train=learnt, test=test))
        if setting == "injected":
            planted = plant(learnt, test, seed)
            test, truth, kinds = planted.windows, planted.is_anomalous, planted.kinds
        return cls(setting, learnt, test, truth, kinds, leaks, seed)

    def run(self, family: str, alerts_per_day: float | None = None) -> "Outcome":
        """alerts_per_day: a budget that gives the threshold, in place of the model's own. Raises
        TooFewWindows where there is too little to learn from, or a budget where windows have no
        times."""
        contamination = 0.0 if self.setting == "normal" else CONTAMINATION
        model = Model.train(family, self.learnt, contamination, self.seed)
        threshold = model.within(alerts_per_day, self.learnt).threshold
        scores = model.score(self.test)
        found = found_by_kind(scores > threshold, self.kinds) if self.kinds is not None else {}
        figures = report(self.test, scores, threshold, self.is_anomalous, self.seed)
        return Outcome(family, figures, threshold, scores, found)


@dataclass(frozen=True, slots=True)
class Outcome:
    """scores: shape (n,), of the test windows. found: by kind of fault, where some were planted."""

    family: str
    report: Report
    threshold: float
    scores: Floats
    found: dict[str, Found]

    def as_dict(self) -> dict[str, Any]:
        """All but the scores."""
        kinds = {kind: asdict(each) | {"share": each.share} for kind, each in self.found.items()}
        return {"threshold": self.threshold, **asdict(self.report), "found_by_kind": kinds}
