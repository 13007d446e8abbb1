"""Drift: a day that is like what was learnt never shows it, one that has moved does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from ml.drift import (
    Drift,
    jensen_shannon,
    population_stability,
    score_drift,
    share_by_chance,
    template_drifts,
)
from ml.model import Model
from ml.windows import Windows

MakeWindows = Callable[[Sequence[Sequence[str]]], Windows]
Sessions = list[list[str]]
# Kinds of sessions and how often they come; the last are so rare that few models see all of them.
KINDS = [["a", "b", "c"], ["a", "b", "b", "c"], ["d"] * 20, *([f"rare{n}", "c"] for n in range(40))]
SHARES = np.array([0.6, 0.28, 0.08, *[0.001] * 40])


def usual(count: int, seed: int) -> Sessions:
    rng = np.random.default_rng(seed)
    return [KINDS[kind] for kind in rng.choice(len(KINDS), count, p=SHARES)]


def drifts(model: Model, windows: Windows) -> dict[str, Drift]:
    unseen, templates = template_drifts(model.profile, windows)
    return {"unseen": unseen, "templates": templates, "scores": score_drift(model, windows)}


def moved(model: Model, windows: Windows) -> set[str]:
    return {name for name, d in drifts(model, windows).items() if d.value > d.by_chance}


@pytest.mark.parametrize("learnt", [20, 200, 2000])
@pytest.mark.parametrize("day", [1, 2, 5, 20, 100, 1000])
def test_a_day_like_what_was_learnt_is_within_chance_whatever_the_sizes(
    make_windows: MakeWindows, learnt: int, day: int
) -> None:
    model = Model.train("novelty", make_windows(usual(learnt, seed=1)))
    assert moved(model, make_windows(usual(day, seed=2))) == set()


@pytest.mark.parametrize("day", [20, 200])
@pytest.mark.parametrize(
    ("change", "measures"),
    [
        pytest.param(lambda s: ["new" if t == "c" else t for t in s], {"unseen"}, id="a release"),
        pytest.param(lambda s: s * 3 if s[0] == "a" else s, {"scores"}, id="longer sessions"),
        pytest.param(lambda s: ["d"] * 20, {"templates"}, id="one kind of session takes over"),
    ],
)
def test_a_day_that_has_moved_is_beyond_chance(
    make_windows: MakeWindows,
    change: Callable[[list[str]], list[str]],
    measures: set[str],
    day: int,
) -> None:
    model = Model.train("novelty", make_windows(usual(500, seed=1)))
    changed = make_windows([change(session) for session in usual(day, seed=2)])
    assert measures <= moved(model, changed)


def test_a_single_odd_window_is_an_anomaly_and_no_drift(make_windows: MakeWindows) -> None:
    model = Model.train("novelty", make_windows(usual(500, seed=1)))
    found = drifts(model, make_windows([["new"] * 5]))
    assert found["unseen"].value == 1.0
    assert all(drift.value <= drift.by_chance for drift in found.values())


def test_templates_that_come_once_in_a_while_are_not_drift(make_windows: MakeWindows) -> None:
    """A model that saw some rare templates will meet others of them."""
    model = Model.train("novelty", make_windows([["a", f"once{n}"] for n in range(100)]))
    day = make_windows([["a", f"other{n}"] for n in range(100)])
    unseen, _ = template_drifts(model.profile, day)
    assert unseen == Drift(0.5, 0.5)


def test_fewer_odd_windows_than_usual_are_no_drift(make_windows: MakeWindows) -> None:
    model = Model.train("novelty", make_windows(usual(500, seed=1)))
    assert score_drift(model, make_windows([["a", "b", "c"]] * 200)).value == 0.0


def test_measuring_again_gives_the_same(make_windows: MakeWindows) -> None:
    model = Model.train("novelty", make_windows(usual(200, seed=1)))
    day = make_windows(usual(50, seed=2))
    assert drifts(model, day) == drifts(model, day)


@pytest.mark.parametrize("one", [np.array([5, 0, 1]), np.array([0, 0, 0])])
def test_the_divergence_of_a_distribution_from_itself_is_nothing(one: np.ndarray) -> None:
    assert jensen_shannon(one, 3 * one) == 0.0


def test_the_divergence_is_symmetric_and_grows_with_the_difference() -> None:
    base, near, far = np.array([10, 10, 0]), np.array([9, 10, 1]), np.array([1, 10, 9])
    assert jensen_shannon(base, near) == jensen_shannon(near, base)
    assert 0 < jensen_shannon(base, near) < jensen_shannon(base, far) < 1


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param(np.zeros(1000), id="all alike"),
        pytest.param(np.append(np.zeros(995), np.arange(5.0)), id="nearly all alike"),
        pytest.param(np.arange(1000.0), id="all different"),
    ],
)
def test_the_index_tells_what_rises_and_is_finite(reference: np.ndarray) -> None:
    assert population_stability(reference, reference) == 0.0
    assert 1 < population_stability(reference, reference + 10_000) < np.inf


@pytest.mark.parametrize(("cases", "most"), [(1, 1.0), (9, 1.0), (10, 0.9), (10_000, 0.52)])
def test_a_share_of_few_cases_may_be_far_from_its_own(cases: int, most: float) -> None:
    assert share_by_chance(0.5, cases) == pytest.approx(most, abs=0.01)
