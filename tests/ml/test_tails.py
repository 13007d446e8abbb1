"""How often a normal window looks at least this odd."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.tails import Tail

statistics = st.floats(0, 1e4)
samples = st.lists(statistics, min_size=1, max_size=40).map(np.array)


@pytest.mark.parametrize(
    ("sample", "value", "probability"),
    [
        pytest.param([0, 0, 1], 0, 1.0, id="all windows are at the lowest value or above"),
        pytest.param([0, 0, 1], 0.5, 0.5, id="one of three is above"),
        pytest.param([0, 0, 1], 1, 0.5, id="one of three is at the value"),
        pytest.param([1, 0, 0], 1, 0.5, id="in whatever order they stand"),
        pytest.param([0, 0, 2], 4, 0.25 / np.e, id="beyond all it falls with the excess"),
        pytest.param(
            [*range(18), 18, 20],
            20 + 19,
            1 / 21 / np.e,
            id="at the scale of the largest tenth",
        ),
        pytest.param([0, 0, 0.5], 2.5, 0.25 / np.e**2, id="at a scale of one at least"),
    ],
)
def test_the_probability_is_conformal(
    sample: list[float], value: float, probability: float
) -> None:
    tail = Tail(np.array(sample, dtype=np.float64))
    log10_p = tail.log10_probability(np.array([float(value)]))
    np.testing.assert_allclose(10**log10_p, [probability])


@given(sample=samples, values=st.lists(statistics, min_size=2, max_size=20))
def test_larger_values_are_never_more_probable_and_none_is_certain_twice(
    sample: np.ndarray, values: list[float]
) -> None:
    log10_p = Tail(sample).log10_probability(np.sort(values))
    assert (np.diff(log10_p) <= 0).all()
    assert (log10_p <= 0).all()


@given(sample=samples, excess=st.floats(0.1, 100))
def test_beyond_the_sample_more_extreme_values_still_rank_higher(
    sample: np.ndarray, excess: float
) -> None:
    beyond = sample.max() + np.array([0.0, excess, 2 * excess])
    assert (np.diff(Tail(sample).log10_probability(beyond)) < 0).all()
