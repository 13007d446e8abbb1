"""How often a normal window scores at least this high."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml.tails import Tail

numbers = st.floats(-1e4, 1e4)
samples = st.lists(numbers, min_size=1, max_size=40).map(np.array)


@pytest.mark.parametrize(
    ("sample", "score", "probability"),
    [
        pytest.param([0, 0, 1], 0, 1.0, id="all windows are at the lowest score or above"),
        pytest.param([0, 0, 1], -5, 1.0, id="and at less than it"),
        pytest.param([0, 0, 1], 1, 0.5, id="one of three is at the score"),
        pytest.param([1, 0, 0], 1, 0.5, id="in whatever order they stand"),
        pytest.param([0, 0, 1], 0.5, 0.5**0.5, id="between two it is interpolated"),
        pytest.param([0, 0, 0], 1, 0.25 / 2, id="beyond all it falls with the excess"),
        pytest.param(
            [*[0.0] * 18, 4, 8], 8 + 2 * 3, 1 / 21 / 4, id="on the scale of the largest tenth"
        ),
    ],
)
def test_the_probability_is_conformal(
    sample: list[float], score: float, probability: float
) -> None:
    tail = Tail(np.array(sample, dtype=np.float64))
    surprise = tail.surprise(np.array([float(score)]))
    np.testing.assert_allclose(10**-surprise, [probability])


@given(sample=samples, scores=st.lists(numbers, min_size=2, max_size=20))
@example(sample=np.array([0.0, 0.0, -4.573431986683338e-82]), scores=[0.0, -7.424445702342743e-212])
def test_higher_scores_surprise_no_less_and_none_less_than_nothing(
    sample: np.ndarray, scores: list[float]
) -> None:
    surprise = Tail(sample).surprise(np.sort(scores))
    assert (np.diff(surprise) >= 0).all()
    assert (surprise >= 0).all()


@given(sample=samples, excess=st.floats(0.1, 100))
def test_beyond_the_sample_more_extreme_scores_still_rank_higher(
    sample: np.ndarray, excess: float
) -> None:
    beyond = sample.max() + np.array([0.0, excess, 2 * excess])
    assert (np.diff(Tail(sample).surprise(beyond)) > 0).all()


@given(sample=samples)
def test_what_a_score_is_beyond_the_whole_sample_surprises_more_than_all_of_it(
    sample: np.ndarray,
) -> None:
    tail = Tail(sample)
    assert tail.surprise(sample.max(keepdims=True) + 1e-3) > tail.surprise(sample).max()
