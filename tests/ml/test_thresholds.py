"""From which score on a window is an anomaly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.tails import Tail
from ml.thresholds import budget_threshold, false_alarm_share, quantile_threshold

numbers = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("share", "threshold"),
    [
        pytest.param(0.0, 9.0, id="none may be flagged: the largest"),
        pytest.param(0.1, 8.0, id="one of ten may be flagged"),
        pytest.param(0.05, 9.0, id="less than one window is none"),
        pytest.param(0.99, 0.0, id="all but one may be flagged"),
    ],
)
def test_the_threshold_is_a_normal_score(share: float, threshold: float) -> None:
    shuffled = np.random.default_rng(0).permutation(10).astype(np.float64)
    assert quantile_threshold(shuffled, share) == threshold


@given(scores=st.lists(numbers, min_size=1, max_size=40), share=st.floats(0, 0.999))
def test_it_is_the_lowest_that_keeps_false_alarms_within_the_share(
    scores: list[float], share: float
) -> None:
    normal = np.array(scores)
    threshold = quantile_threshold(normal, share)
    allowed = len(scores) * share
    assert (normal > threshold).sum() <= allowed
    assert threshold in scores
    lower = normal[normal < threshold]
    assert not len(lower) or (normal > lower.max()).sum() > allowed


@pytest.mark.parametrize(
    ("scores", "share", "message"),
    [
        pytest.param([1.0], 1.0, "expected 0 up to 1", id="a share of all"),
        pytest.param([1.0], -0.1, "expected 0 up to 1", id="a share below nothing"),
        pytest.param([], 0.1, "at least one normal window", id="no scores"),
    ],
)
def test_nonsense_is_refused(scores: list[float], share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantile_threshold(np.array(scores), share)


@pytest.mark.parametrize(
    ("windows", "allowed"),
    [(1, 0), (10, 1), (50, 5), (100, 10), (5_000, 10), (10_000, 10), (100_000, 100)],
)
def test_a_quantile_rests_on_ten_windows_but_never_on_a_tenth_of_them(
    windows: int, allowed: int
) -> None:
    scores = np.arange(float(windows))
    threshold = quantile_threshold(scores, false_alarm_share(windows))
    assert (scores > threshold).sum() == allowed


@pytest.mark.parametrize(("alerts", "windows"), [(5, 1_000), (1, 20_000), (3, 40)])
def test_a_budget_is_kept_by_windows_like_those_learnt(alerts: int, windows: int) -> None:
    rng = np.random.default_rng(1)
    tail = Tail(rng.exponential(size=2_000))
    nights = [tail.surprise(rng.exponential(size=windows)) for _ in range(40)]
    flagged = np.mean([(night > budget_threshold(alerts, windows)).sum() for night in nights])
    assert flagged <= 1.5 * alerts


def test_a_budget_for_every_window_flags_whatever_is_odd_at_all() -> None:
    assert budget_threshold(100, 50) == 0.0


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than none"):
        budget_threshold(0, 50)
