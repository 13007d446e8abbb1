"""What every detector family must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ml.checks import CHECKS, USUAL, sessions
from ml.detectors import out_of_fold_scores
from ml.families import FAMILIES, create, family


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_family_keeps(check: Callable[..., None], name: str) -> None:
    check(family(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_no_window_is_scored_by_a_detector_that_was_fitted_on_it(name: str) -> None:
    windows = sessions([*USUAL[:9], ["a", "x", "x", "d"]])
    scores = out_of_fold_scores(family(name), windows)
    others = family(name)().fit(windows.take(np.arange(9)))
    assert scores[9] == pytest.approx(others.score(windows)[9])
    assert scores.shape == (10,)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_number_outside_its_range_is_odd(name: str, make_numbered: Any) -> None:
    usual = [[40, 50 + n % 17, 60 + n % 7] for n in range(60)]
    detector = create(name).fit(make_numbered(usual))
    *normal, odd = detector.score(make_numbered([*usual, [40, 3_000_000, 50]]))
    assert odd > max(normal)


def test_one_window_has_no_other_to_be_judged_by() -> None:
    with pytest.raises(ValueError, match="two windows or more, got 1"):
        out_of_fold_scores(family("novelty"), sessions([["a"]]))


def test_a_family_gets_the_settings_that_it_asks_for() -> None:
    assert create("novelty", anomalous=7, seed=3).anomalous == 7  # type: ignore[attr-defined]
    assert create("isolation_forest", anomalous=7, seed=3).seed == 3  # type: ignore[attr-defined]


def test_an_unknown_family_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="novelty"):
        family("nonsense")
