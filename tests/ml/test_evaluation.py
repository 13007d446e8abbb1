"""How good a detector is."""

from __future__ import annotations

import numpy as np
import pytest

from ml.evaluation import Figures, evaluate


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
