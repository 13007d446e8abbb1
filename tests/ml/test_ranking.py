"""Figures that ranks alone decide."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ml.checks import sessions
from ml.ranking import Measure, Ranking, blocks_of, draws

RNG = np.random.default_rng(0)
TRUTH = RNG.random(400) < 0.1
SCORES = np.round(RNG.normal(size=400) + TRUTH, 1)


def test_average_precision_is_that_of_scikit_learn_under_weights_too() -> None:
    ranking = Ranking(SCORES, TRUTH)
    assert ranking.average_precision() == pytest.approx(average_precision_score(TRUTH, SCORES))
    weights = RNG.integers(0, 4, len(SCORES))
    expected = average_precision_score(TRUTH, SCORES, sample_weight=weights)
    assert ranking.average_precision(weights) == pytest.approx(expected)


def test_weights_count_as_so_many_windows() -> None:
    weights = RNG.integers(0, 4, len(SCORES))
    repeated = Ranking(np.repeat(SCORES, weights), np.repeat(TRUTH, weights))
    assert Ranking(SCORES, TRUTH).recall_at(0.05, weights) == repeated.recall_at(0.05)


@pytest.mark.parametrize("allowed", [0.0, 0.01, 0.05, 0.3])
def test_no_more_normal_windows_than_allowed_lie_above(allowed: float) -> None:
    best = 0.0
    for threshold in [*SCORES, -np.inf]:
        is_above = threshold < SCORES if threshold > -np.inf else np.ones(len(SCORES), bool)
        if is_above[~TRUTH].mean() <= allowed:
            best = max(best, is_above[TRUTH].mean())
    assert Ranking(SCORES, TRUTH).recall_at(allowed) == pytest.approx(best)


def test_equal_scores_are_above_together_or_not_at_all() -> None:
    truth = np.array([True, False, False, False])
    assert Ranking(np.ones(4), truth).recall_at(0.5) == 0.0
    assert Ranking(np.ones(4), truth).average_precision() == pytest.approx(0.25)


@pytest.mark.parametrize("measure", [Measure(), Measure(0.1)])
def test_without_anomalies_there_is_no_figure(measure: Measure) -> None:
    assert np.isnan(measure(Ranking(np.ones(3), np.zeros(3, bool))))


def test_windows_of_one_hour_are_drawn_together() -> None:
    drawn = np.array(list(draws(6, 0, np.array([7, 7, 7, 8, 8, 9]))))
    assert (drawn[:, :3] == drawn[:, :1]).all()
    assert (drawn[:, 3] == drawn[:, 4]).all()
    assert (drawn[:, 0] != drawn[:, 5]).any()


def test_sessions_are_drawn_alone() -> None:
    assert blocks_of(sessions([["a"], ["b"]])) is None
