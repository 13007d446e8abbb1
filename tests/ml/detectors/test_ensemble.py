"""Several detectors together: who is asked, who leads, and what labels teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml.checks import ODD, USUAL, sessions
from ml.detectors import fit_out_of_fold
from ml.detectors.ensemble import LEAST_FOR_NETWORKS, Ensemble, learnt_weights, together
from ml.model import Model

# Enough of them for networks, and few different ones, which are soon learnt.
MANY = USUAL * 2
SWAPPED = ["b", "a", "c"]
UNSEEN = ["a", "x", "b", "c"]


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble().fit(sessions(MANY))


def test_the_members_follow_from_what_there_is_to_learn_from() -> None:
    assert Ensemble().names_for(LEAST_FOR_NETWORKS) == ("novelty", "one_class_svm", "lstm")
    assert Ensemble().names_for(LEAST_FOR_NETWORKS - 1) == ("novelty", "one_class_svm")
    assert Ensemble(anomalous=1).names_for(10_000) == ("novelty", "isolation_forest")
    assert Ensemble(members=["bert"]).names_for(20) == ("bert",)


def test_what_one_member_alone_sees_is_found(ensemble: Ensemble) -> None:
    """Only the network knows that events are in the wrong order: these pairs are too few for
    novelty to take them for orderly."""
    (swapped,) = ensemble.score(sessions([SWAPPED]))
    assert swapped > ensemble.score(sessions(MANY)).max()


def test_networks_are_not_asked_of_what_cheap_members_have_settled(ensemble: Ensemble) -> None:
    windows = sessions([*USUAL[:3], UNSEEN, *ODD.values()])
    _, (cheap, networks) = ensemble.staged(windows)
    assert cheap.members == ("novelty", "one_class_svm")
    assert networks.members == ("lstm",)
    assert (cheap.windows, networks.windows) == (7, 7 - cheap.settled)
    assert cheap.settled >= 3


def test_what_is_settled_is_odder_than_any_normal_window(ensemble: Ensemble) -> None:
    windows = sessions([*ODD.values(), UNSEEN])
    scores, (cheap, _) = ensemble.staged(windows)
    assert (np.sort(scores)[-cheap.settled :] > ensemble.normal_scores_.max()).all()


def test_its_scores_of_normal_windows_are_out_of_fold_without_fitting_again() -> None:
    windows = sessions(USUAL)
    detector, scores = fit_out_of_fold(Ensemble, windows)
    assert scores is detector.normal_scores_  # type: ignore[attr-defined]
    assert scores.shape == (len(windows),)
    lonely = sessions([*USUAL, UNSEEN])
    _, scores = fit_out_of_fold(Ensemble, lonely)
    assert scores.argmax() == len(USUAL)


def test_a_model_of_all_its_stages_is_saved_and_loaded(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    windows = sessions([*USUAL[:3], SWAPPED, UNSEEN])
    loaded = Ensemble.load(tmp_path)
    assert loaded.score(windows) == pytest.approx(ensemble.score(windows))
    assert [stage.windows for stage in loaded.staged(windows)[1]] == [
        stage.windows for stage in ensemble.staged(windows)[1]
    ]


def test_the_most_surprised_member_leads_and_the_others_break_ties() -> None:
    surprises = np.array([[3.0, 3.0, 0.0], [0.0, 1.0, 3.5], [0.0, np.nan, 0.0]])
    first, second, third = together(surprises)
    assert third > second > first


def test_known_anomalies_teach_who_is_to_be_believed() -> None:
    rng = np.random.default_rng(0)
    normal = rng.exponential(size=(2, 500))
    odd = np.array([rng.exponential(size=40), 3 + rng.exponential(size=40)])
    noise, telling = learnt_weights(normal, odd)
    assert noise < telling == 1.0


def test_members_that_are_equally_good_stay_equal() -> None:
    rng = np.random.default_rng(0)
    normal, odd = rng.exponential(size=(2, 500)), 9 + rng.exponential(size=(2, 40))
    assert learnt_weights(normal, odd).tolist() == [1.0, 1.0]


def test_a_model_is_given_the_anomalies_that_are_known() -> None:
    """Isolation Forest finds nothing in these windows; the ensemble learns to hear it less."""
    odd = sessions([["a", *["x"] * n, "c"] for n in range(1, 21)])
    detectors = [
        Model.train("ensemble", sessions(USUAL), 0.02, odd=known).detector
        for known in (None, odd.take(np.arange(3)), odd)
    ]
    weights = [each.weights_.tolist() for each in detectors]  # type: ignore[attr-defined]
    assert weights[0] == weights[1] == [1.0, 1.0]
    assert weights[2][0] == 1.0
