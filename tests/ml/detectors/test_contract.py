"""What every detector family must keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.detectors import out_of_fold_scores
from ml.families import FAMILIES, family

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40
ODD = ["a", "x", "x", "x", "d", "c", "c", "c", "c", "c"]

every_family = pytest.mark.parametrize("name", FAMILIES)


@every_family
def test_a_planted_anomaly_outranks_the_normal_ones(name: str, make_windows: Any) -> None:
    # A forest cuts only where its training varied: it finds what it has seen to be rare.
    seen = [*USUAL, ODD] if name == "isolation_forest" else USUAL
    detector = family(name)().fit(make_windows(seen))
    scores = detector.score(make_windows([*USUAL, ODD]))
    assert scores[-1] > scores[:-1].max()


@every_family
def test_the_same_windows_give_the_same_scores(name: str, make_windows: Any) -> None:
    windows = make_windows([*USUAL, ODD])
    one, other = (family(name)().fit(windows).score(windows) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@every_family
def test_the_order_of_a_batch_makes_no_difference(name: str, make_windows: Any) -> None:
    detector = family(name)().fit(make_windows(USUAL))
    windows = make_windows([*USUAL[:5], ODD, ["a"], ["c", "b", "a"], ["a"] * 30])
    scores = detector.score(windows)
    assert len(set(scores)) > 3, "scores all alike would not tell"
    order = np.random.default_rng(0).permutation(len(windows))
    np.testing.assert_allclose(detector.score(windows.take(order)), scores[order])


@every_family
def test_a_window_scores_alike_in_any_company(name: str, make_windows: Any) -> None:
    detector = family(name)().fit(make_windows(USUAL))
    windows = make_windows([ODD, *USUAL[:9]])
    alone = detector.score(windows.take(np.array([0])))
    np.testing.assert_allclose(alone, detector.score(windows)[:1])


@every_family
def test_no_windows_have_no_scores(name: str, make_windows: Any) -> None:
    detector = family(name)().fit(make_windows(USUAL))
    assert detector.score(make_windows([])).shape == (0,)


@every_family
def test_windows_of_unseen_templates_alone_are_scored(name: str, make_windows: Any) -> None:
    detector = family(name)().fit(make_windows(USUAL))
    assert np.isfinite(detector.score(make_windows([["x", "y"], ["z"]]))).all()


@every_family
def test_it_cannot_learn_from_nothing(name: str, make_windows: Any) -> None:
    with pytest.raises(ValueError, match="window"):
        family(name)().fit(make_windows([]))


@every_family
def test_what_is_saved_scores_the_same_and_holds_no_pickle(
    name: str, make_windows: Any, tmp_path: Path
) -> None:
    detector = family(name)().fit(make_windows(USUAL))
    detector.save(tmp_path)
    windows = make_windows([*USUAL, ODD])
    np.testing.assert_array_equal(
        family(name).load(tmp_path).score(windows), detector.score(windows)
    )
    assert {path.suffix for path in tmp_path.iterdir()} <= {".npz", ".parquet", ".skops", ".json"}


def test_an_unknown_family_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="novelty"):
        family("nonsense")


@every_family
def test_no_window_is_scored_by_a_detector_that_was_fitted_on_it(
    name: str, make_windows: Any
) -> None:
    windows = make_windows([*USUAL[:9], ODD])
    scores = out_of_fold_scores(family(name), windows)
    others = family(name)().fit(windows.take(np.arange(9)))
    assert scores[9] == others.score(windows)[9]
    assert scores.shape == (10,)


def test_one_window_has_no_other_to_be_judged_by(make_windows: Any) -> None:
    with pytest.raises(ValueError, match="two windows or more, got 1"):
        out_of_fold_scores(family("novelty"), make_windows([["a"]]))
