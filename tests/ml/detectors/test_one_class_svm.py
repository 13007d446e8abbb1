"""The one-class machine, exact and with random features."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn import svm

from ml.checks import ODD, USUAL, sessions
from ml.detectors.one_class_svm import OneClassSvm
from ml.windows import Windows

Linear = partial(OneClassSvm, most_exact=0)


def test_windows_are_ranked_as_by_the_decision_function_of_the_paper() -> None:
    usual, odd = sessions(USUAL), sessions([*USUAL[:3], *ODD.values(), ["a", "b", "d"]])
    detector = OneClassSvm().fit(usual)
    profile = detector.profile_
    machine = svm.OneClassSVM(gamma=detector.gamma_, nu=detector.nu).fit(
        np.log1p(profile.vectors) * detector.scales_,
        sample_weight=1 + np.log(profile.multiplicity),
    )
    vectors = odd.count_vectors(profile.vocabulary).toarray()
    decisions = machine.decision_function(np.log1p(vectors) * detector.scales_)
    order = np.argsort(-decisions, kind="stable")
    # Far away the decision function is flat, and says nothing of the order.
    falls = np.diff(decisions[order]) < -1e-9
    assert falls.sum() >= 3
    assert (np.diff(detector.score(odd)[order])[falls] > 0).all()


def test_what_is_further_out_scores_higher_however_far() -> None:
    bursts = sessions([["a", *["b"] * count, "c"] for count in (10, 100, 1_000, 10_000)])
    assert (np.diff(OneClassSvm().fit(sessions(USUAL)).score(bursts)) > 0.1).all()


def _various() -> Windows:
    """As many distinct vectors as it takes for a linear machine to converge."""
    rng = np.random.default_rng(0)
    counts = rng.poisson([8, 4, 1, 12], size=(600, 4))
    return sessions([["open", *np.repeat(list("abcd"), row), "close"] for row in counts])


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(["open", "x", "x", *"abcddaabd", "close"], id="an unseen template"),
        pytest.param(["open", *"abcdd", *["c"] * 60, "close"], id="a burst"),
        pytest.param(["close"], id="missing steps"),
    ],
)
def test_random_features_find_what_the_exact_machine_finds(odd: list[str]) -> None:
    usual = _various()
    for detector in (OneClassSvm().fit(usual), Linear().fit(usual)):
        bound = np.quantile(detector.score(usual), 0.98)
        assert detector.score(sessions([odd]))[0] > bound


def test_random_features_follow_from_the_seed() -> None:
    windows = _various()
    first, again, other = (Linear(seed=seed).fit(windows).score(windows) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
