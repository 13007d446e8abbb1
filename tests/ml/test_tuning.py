"""Exams: what tuning and the gate judge by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml import splits
from ml.checks import sessions
from ml.families import FAMILIES, family
from ml.leaks import Leak
from ml.model import CONTAMINATION
from ml.search import best_settings, open_study
from ml.splits import rolling_origins, split_by_share
from ml.tuning import ASSUMED, ORIGINS, Exam, all_settings, first_settings, folds, search_space
from ml.windows import Windows

RNG = np.random.default_rng(0)
USUAL = [["a", *["b"] * int(n), "c"] for n in RNG.integers(1, 4, 400)]


def some(windows: Windows, count: int) -> np.ndarray:
    found = np.zeros(len(windows), dtype=bool)
    found[-count:] = count > 0
    return found


def exam(labelled: int) -> Exam:
    split = split_by_share(sessions(USUAL), 0.5)
    return Exam.of(split, some(split.train, 0), some(split.test, labelled), seed=0)


def test_labelled_anomalies_decide_where_there_are_enough() -> None:
    assert exam(10).measure.name == "average precision"
    assert exam(10).trial.is_anomalous.sum() == 10
    assert exam(9).measure.name == "recall at the budget"


def test_a_known_anomaly_is_no_planted_fault_and_not_normal_either() -> None:
    assert len(exam(9).trial.test) == len(exam(0).trial.test) - 9


def test_labelled_anomalies_are_not_learnt_but_handed_on() -> None:
    split = split_by_share(sessions(USUAL), 0.5)
    made = Exam.of(split, some(split.train, 7), some(split.test, 0), seed=0)
    assert len(made.trial.learnt) == len(split.train) - 7
    assert len(made.odd) == 7


def test_every_fold_learns_what_comes_before_it() -> None:
    windows = sessions(USUAL)
    made = folds(windows, some(windows, 0), seed=0)
    assert len(made) == len(ORIGINS)
    for each, split in zip(made, rolling_origins(windows, ORIGINS), strict=True):
        assert each.trial.learnt.spans["ends_at"].max() < each.trial.test.spans["starts_at"].min()
        assert each.trial.learnt.spans.equals(split.train.spans)


@pytest.mark.parametrize("what", ["a later window", "the same window"])
def test_a_planted_leak_is_refused(what: str) -> None:
    split = split_by_share(sessions(USUAL), 0.5)
    later = split.test.take(np.arange(100 if what == "a later window" else 1))
    if what == "a later window":
        # Not one that is judged, but of the time of those.
        split = replace(split, test=split.test.take(np.arange(100, len(split.test))))
        later = later.take(np.array([99]))
        late = later.spans.with_columns(ends_at=split.test.spans["ends_at"].max())
        later = replace(later, spans=late)
    leaking = replace(split, train=later)
    with pytest.raises(Leak, match="training saw what is to be judged"):
        Exam.of(leaking, some(leaking.train, 0), some(leaking.test, 0), seed=0)


def test_there_is_no_function_for_a_shuffled_split() -> None:
    """Whatever splits windows here leaves them in their order, and the later ones test."""
    windows = sessions(USUAL)
    makers = {
        name: getattr(splits, name)
        for name in vars(splits)
        if name.startswith(("split", "rolling")) and callable(getattr(splits, name))
    }
    assert set(makers) == {
        "split_at",
        "split_by_share",
        "split_in_order",
        "split_by_files",
        "rolling_origins",
    }
    for made in (
        makers["split_at"](windows, windows.spans["starts_at"][200]),
        makers["split_by_share"](windows, 0.5),
        makers["split_in_order"](windows, 0.5),
        *makers["rolling_origins"](windows),
    ):
        assert made.train.spans["starts_at"].is_sorted()
        assert made.train.spans["starts_at"].max() < made.test.spans["starts_at"].min()


@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_lie_within_the_search_space_and_come_first(name: str) -> None:
    for has_labels in (True, False):
        space = search_space(name, has_labels=has_labels)
        first, *_ = first_settings(name, has_labels=has_labels)
        assert first.keys() == space.keys()
        for setting, distribution in space.items():
            assert distribution._contains(distribution.to_internal_repr(first[setting]))


def test_only_where_nobody_has_looked_there_is_something_to_assume() -> None:
    assert ASSUMED in search_space("novelty", has_labels=False)
    assert ASSUMED not in search_space("novelty", has_labels=True)
    assert ASSUMED not in search_space("lstm", has_labels=False)


@pytest.mark.parametrize(("gain", "kept"), [(0.05, CONTAMINATION), (0.2, 0.0)])
def test_the_assumption_is_given_up_only_for_a_clear_gain(gain: float, kept: float) -> None:
    study = open_study("novelty", has_labels=False)
    space = search_space("novelty", has_labels=False)
    for _ in range(2):
        trial = study.ask(space)
        study.tell(trial, 0.5 + gain * (trial.params[ASSUMED] == 0))
    assert best_settings(study, "novelty", has_labels=False)[0][ASSUMED] == kept


def test_a_space_of_choices_is_tried_whole() -> None:
    space = search_space("ensemble", has_labels=False)
    tried = first_settings("ensemble", has_labels=False)
    assert len(tried) == len(all_settings(space) or []) == 6
    assert all_settings(search_space("lstm", has_labels=True)) is None


@pytest.mark.parametrize("name", ["novelty", "isolation_forest", "one_class_svm"])
def test_settings_reach_the_detector_and_its_file(name: str, tmp_path: object) -> None:
    """A detector with other settings than the defaults scores otherwise, saved and loaded too."""
    made = exam(0)
    chosen = {
        key: distribution.low
        for key, distribution in family(name).SEARCH_SPACE.items()  # type: ignore[attr-defined]
    }
    default = made.fitted(name, {}, 0).score(made.trial.test)
    detector = made.fitted(name, chosen, 0)
    scores = detector.score(made.trial.test)
    assert not np.allclose(scores, default)
    detector.save(tmp_path)  # type: ignore[arg-type]
    loaded = family(name).load(tmp_path)  # type: ignore[arg-type]
    assert np.allclose(loaded.score(made.trial.test), scores)
