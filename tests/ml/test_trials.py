"""A family on trial under the three settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml.splits import TooFewWindows, split_by_share
from ml.trials import Trial

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40
ODD = ["a", "x", "y", "c"]


def trial(make_windows: Any, setting: Any, seed: int = 0) -> Trial:
    split = split_by_share(make_windows([*USUAL[:50], ODD, *USUAL, ODD]), 0.5)
    truths = [
        np.array([sequence == tuple(ODD) for sequence in part.sequences()])
        for part in (split.train, split.test)
    ]
    return Trial.of(split, setting, *truths, seed)


def test_what_is_labelled_is_not_learnt_from(make_windows: Any) -> None:
    outcome = trial(make_windows, "normal").run("novelty")
    assert (outcome.report.over_all.f1, outcome.report.over_all.anomalous) == (1.0, 1)
    assert outcome.found == {}
    assert outcome.report.incidents is not None
    assert outcome.report.incidents.recall == 1.0


def test_contaminated_training_holds_it(make_windows: Any) -> None:
    clean, contaminated = (trial(make_windows, each) for each in ("normal", "contaminated"))
    assert len(contaminated.learnt) == len(clean.learnt) + 1
    assert tuple(ODD) in contaminated.learnt.sequences()


def test_planted_faults_are_looked_for_without_labels(make_windows: Any) -> None:
    on_trial = trial(make_windows, "injected")
    outcome = on_trial.run("novelty")
    assert outcome.report.over_all.anomalous == on_trial.is_anomalous.sum() > 20
    assert outcome.found["burst"].share == 1.0
    document = outcome.as_dict()
    assert document["found_by_kind"]["burst"]["share"] == 1.0
    assert document["over_all"]["recall"] == outcome.report.over_all.recall


def test_a_labelled_anomaly_is_neither_planted_nor_a_false_alarm(make_windows: Any) -> None:
    on_trial = trial(make_windows, "injected")
    assert tuple(ODD) not in on_trial.test.sequences()
    assert len(on_trial.is_anomalous) == len(on_trial.test)


def test_leaks_are_told_of_what_is_learnt_from(make_windows: Any) -> None:
    # The odd sequence stands in training, but is left out of it where it is labelled.
    clean, contaminated = (trial(make_windows, each) for each in ("normal", "contaminated"))
    assert contaminated.leaks.verbatim == clean.leaks.verbatim + 1
    assert (clean.leaks.templates_new, contaminated.leaks.templates_new) == (2, 0)


def test_the_same_seed_gives_the_same_figures(make_windows: Any) -> None:
    one, again = (trial(make_windows, "injected").run("novelty").as_dict() for _ in range(2))
    assert one == again


def test_too_little_to_learn_from_is_told(make_windows: Any) -> None:
    split = split_by_share(make_windows([["a"]] * 8), 0.5)
    nothing = np.zeros(4, dtype=bool)
    with pytest.raises(TooFewWindows, match="4 windows to train on"):
        Trial.of(split, "contaminated", nothing, nothing, 0).run("novelty")


def test_a_budget_of_alerts_gives_the_threshold(make_windows: Any) -> None:
    on_trial = trial(make_windows, "normal")
    thrifty, generous = (on_trial.run("novelty", alerts_per_day=each) for each in (0.1, 1_000))
    # Of 1,440 windows a day.
    assert thrifty.threshold == pytest.approx(4.16, abs=0.01)
    assert (thrifty.report.over_all.flagged, generous.report.over_all.flagged) == (0, 1)
