"""Novelty: what was never there before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml.detectors.novelty import Novelty

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40
# With 120 windows the rarest inside the sample is one in 121; three statistics were looked at.
LARGEST_INSIDE = 1.6


@pytest.mark.parametrize(
    "sequence",
    [
        pytest.param(["a", "x", "b", "c"], id="a new template"),
        pytest.param(["a", *["b"] * 30, "c"], id="far too many of one"),
        pytest.param(["b", "c"], id="a missing step"),
        pytest.param(["c", "b", "a"], id="the wrong order"),
    ],
)
def test_each_kind_of_oddity_is_found_alone(sequence: list[str], make_windows: Any) -> None:
    detector = Novelty().fit(make_windows(USUAL))
    *usual, odd = detector.score(make_windows([*USUAL, sequence]))
    assert max(usual) == 0
    assert odd > LARGEST_INSIDE


def test_what_is_odder_scores_higher(make_windows: Any) -> None:
    detector = Novelty().fit(make_windows(USUAL))
    odder = [["a", "b", "c", *["x"] * count, *list("uvwyz")[:count]] for count in range(4)]
    scores = detector.score(make_windows(odder)).tolist()
    assert scores == sorted(set(scores))


@pytest.mark.parametrize(
    ("news_every_day", "is_odd"),
    [
        pytest.param(False, True, id="where there never was one it is odd"),
        pytest.param(True, False, id="where each window brings one it is not"),
    ],
)
def test_a_new_template_is_judged_by_how_often_new_ones_come(
    news_every_day: bool, is_odd: bool, make_windows: Any
) -> None:
    # No two windows are alike in counts or order, so that neither can tell.
    rng = np.random.default_rng(0)
    normal = [[f"t{n}" for n in rng.integers(0, 40, size=20)] for _ in range(60)]
    judged = [*normal[0], "x"]
    if news_every_day:
        normal = [[*sequence, f"new{number}"] for number, sequence in enumerate(normal)]
    (score,) = Novelty().fit(make_windows(normal)).score(make_windows([judged]))
    assert (score > 1) == is_odd
