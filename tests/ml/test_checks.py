"""Each check of the battery can fail."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from ml import checks
from ml.checks import CHECKS, CheckFailed
from ml.windows import Windows


class Unseen:
    """How many events of a window are of few training windows: right in all that is checked."""

    def fit(self, windows: Windows) -> Self:
        if not len(windows):
            raise ValueError("at least one window is needed")
        counts = windows.events["template_id"].value_counts()
        self.counts_ = dict(counts.iter_rows())
        return self

    def score(self, windows: Windows) -> Any:
        odd = [
            max((1 / (1 + self.counts_.get(each, 0)) for each in sequence), default=0)
            + len(sequence) ** 2 / 1e4
            + (0.2 if len(sequence) == 1 else 0)
            for sequence in windows.sequences()
        ]
        return np.array(odd, dtype=np.float64)

    def save(self, folder: Path) -> None:
        (folder / "counts.json").write_text(json.dumps(self.counts_))

    @classmethod
    def load(cls, folder: Path) -> Self:
        detector = cls()
        detector.counts_ = json.loads((folder / "counts.json").read_text())
        return detector


class UpsideDown(Unseen):
    def score(self, windows: Windows) -> Any:
        return -super().score(windows)


class Chance(Unseen):
    def score(self, windows: Windows) -> Any:
        return super().score(windows) + np.random.default_rng().random(len(windows))


class ByPlace(Unseen):
    def score(self, windows: Windows) -> Any:
        return super().score(windows) + np.arange(len(windows))


class ByCompany(Unseen):
    def score(self, windows: Windows) -> Any:
        return super().score(windows) / max(len(windows), 1)


class NeedsMany(Unseen):
    def score(self, windows: Windows) -> Any:
        return super().score(windows) / (len(self.counts_) - 3)


class FitsNothing(Unseen):
    def fit(self, windows: Windows) -> Self:
        self.counts_ = {}
        return super().fit(windows) if len(windows) else self


class Forgets(Unseen):
    @classmethod
    def load(cls, folder: Path) -> Self:
        detector = cls()
        detector.counts_ = {}
        return detector


class Pickles(Unseen):
    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "model.bin").write_bytes(pickle.dumps(self.counts_))


class Changes(Unseen):
    def score(self, windows: Windows) -> Any:
        scores = super().score(windows)
        windows.offsets[-1] = 0
        return scores


class UsesGlobalRandom(Unseen):
    def fit(self, windows: Windows) -> Self:
        np.random.seed(0)
        return super().fit(windows)


BROKEN: dict[Callable[..., None], tuple[type[Unseen], str]] = {
    checks.odd_windows_score_higher: (UpsideDown, "high must mean anomalous"),
    checks.same_windows_give_same_scores: (Chance, "same windows, parameters and seed"),
    checks.order_of_batch_makes_no_difference: (ByPlace, "its place in the batch"),
    checks.company_makes_no_difference: (ByCompany, "the windows beside it"),
    checks.few_windows_will_do: (NeedsMany, "must be finite"),
    checks.no_windows_are_refused: (FitsNothing, "must raise a ValueError"),
    checks.saved_is_loaded: (Forgets, "scores otherwise"),
    checks.saved_without_pickle: (Pickles, "holds a pickle"),
    checks.input_is_left_alone: (Changes, "changes the windows"),
    checks.randomness_of_others_is_left_alone: (UsesGlobalRandom, "global generator"),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_right_detector_passes(check: Callable[..., None]) -> None:
    check(Unseen)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_broken_one_is_told_what_was_expected(check: Callable[..., None]) -> None:
    detector, why = BROKEN[check]
    with pytest.raises(CheckFailed, match=why):
        check(detector)
