"""How good a detector is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml.evaluation import (
    Figures,
    Incidents,
    Spread,
    alerts_per_day,
    bootstrap,
    evaluate,
    incident_numbers,
    incidents,
    over_distinct,
    spread,
)


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        pytest.param(
            [0.9, 0.8, 0.1],
            [1, 0, 0],
            Figures(3, 1, 2, 1, 0.5, 1.0, 2 / 3, 1.0),
            id="a false alarm",
        ),
        pytest.param(
            [0.9, 0.1, 0.2], [1, 1, 0], Figures(3, 2, 1, 1, 1.0, 0.5, 2 / 3, 5 / 6), id="a miss"
        ),
        pytest.param(
            [0.5, 0.4], [1, 0], Figures(2, 1, 0, 0, None, 0.0, 0.0, 1.0), id="on it is not above it"
        ),
        pytest.param(
            [0.9, 0.1], [0, 0], Figures(2, 0, 1, 0, 0.0, None, 0.0, None), id="nothing anomalous"
        ),
        pytest.param(
            [0.1], [0], Figures(1, 0, 0, 0, None, None, None, None), id="nothing to tell at all"
        ),
        pytest.param([], [], Figures(0, 0, 0, 0, None, None, None, None), id="no windows"),
    ],
)
def test_figures_at_a_threshold_of_a_half(
    scores: list[float], truth: list[int], expected: Figures
) -> None:
    figures = evaluate(np.array(scores), 0.5, np.array(truth, dtype=np.bool_))
    assert figures.as_metrics() == pytest.approx(expected.as_metrics())


def test_metrics_are_the_figures_that_exist() -> None:
    figures = evaluate(np.array([0.9, 0.1]), 0.5, np.array([False, False]))
    assert figures.as_metrics() == {
        "windows": 2.0,
        "anomalous": 0.0,
        "flagged": 1.0,
        "true_positives": 0.0,
        "precision": 0.0,
        "f1": 0.0,
    }


def test_incidents_count_windows_near_in_time_once(make_windows: Any) -> None:
    # One a minute; the windows at 0, 1, 2 and 30, 31 are anomalous.
    windows = make_windows([["a", "b"]] * 40)
    truth = np.isin(np.arange(40), [0, 1, 2, 30, 31])
    flagged = np.isin(np.arange(40), [1, 5])
    assert incident_numbers(windows, truth)[[0, 1, 2, 3, 30, 31]].tolist() == [0, 0, 0, -1, 1, 1]
    found = incidents(windows, flagged, truth)
    assert found == Incidents(count=2, found=1, recall=0.5, seconds_to_detect=61.0)


def test_long_windows_do_not_chain_incidents(make_windows: Any) -> None:
    # One a minute, each going on for a quarter of an hour: the first and the tenth overlap.
    windows = make_windows([["a"] * 900] * 20)
    truth = np.isin(np.arange(20), [0, 1, 10])
    assert incident_numbers(windows, truth)[[0, 1, 10]].tolist() == [0, 0, 1]


def test_alerts_are_told_per_day_of_logs(make_windows: Any) -> None:
    windows = make_windows([["a"]] * 721)  # half a day, from the first start to the last event
    assert alerts_per_day(windows, np.arange(721) < 3) == pytest.approx(6.0)


def test_a_sequence_counts_once_with_its_highest_score(make_windows: Any) -> None:
    windows = make_windows([["a"], ["b"], ["a"]])
    scores, truth = over_distinct(
        windows, np.array([1.0, 2.0, 3.0]), np.array([True, False, False])
    )
    assert scores.tolist() == [3.0, 2.0]
    assert truth.tolist() == [True, False]


def test_equal_windows_may_be_given_as_weights() -> None:
    scores, truth = np.array([3.0, 1.0, 2.0]), np.array([True, False, False])
    weights = np.array([2, 5, 1])
    apart = evaluate(np.repeat(scores, weights), 1.5, np.repeat(truth, weights))
    assert evaluate(scores, 1.5, truth, weights) == apart


def test_intervals_hold_the_figure_and_narrow_with_the_windows() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (100, 2000):
        truth = rng.random(n) < 0.3
        scores = truth + rng.normal(0, 0.7, n)
        low, high = bootstrap(scores, 0.5, truth, seed=1)["f1"]
        figure = evaluate(scores, 0.5, truth).f1
        assert figure is not None
        assert low < figure < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_folds_are_summed_up_by_median_and_range() -> None:
    assert spread([0.1, None, 0.9, 0.2]) == Spread(median=0.2, least=0.1, most=0.9)
    assert spread([None]) is None
