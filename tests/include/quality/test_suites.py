"""The rules behind the checks: what is usual, and how a finding is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.quality.suites import (
    LEAST_DAYS,
    SUITES,
    Expectation,
    columns_of,
    severity_shift,
    usual_volume,
    volume_ratio,
)

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def at_noon(*events: int) -> dict[datetime, int]:
    """A history of events at noon, the day before first."""
    return {NOON - (number + 1) * DAY: count for number, count in enumerate(events)}


@pytest.mark.parametrize(
    ("history", "usual"),
    [
        pytest.param({}, None, id="nothing is known"),
        pytest.param(at_noon(100, 100), None, id="two days are too few to judge by"),
        pytest.param(at_noon(100, 120, 110), 110, id="the middle of three days"),
        pytest.param(at_noon(100, 102, 5000, 98, 100), 100, id="an outage does not shift it"),
        pytest.param(
            at_noon(100, 100) | {NOON - HOUR - DAY: 100}, None, id="other hours do not count"
        ),
        pytest.param(
            at_noon(100, 100) | {NOON: 100, NOON + DAY: 100}, None, id="only earlier days count"
        ),
    ],
)
def test_the_usual_volume_of_an_hour(history: dict[datetime, int], usual: float | None) -> None:
    assert usual_volume(history, NOON) == usual


@pytest.mark.parametrize(
    ("volumes", "ratio"),
    [
        pytest.param({}, 1, id="an object without events"),
        pytest.param({NOON: 100}, 1, id="the usual volume"),
        pytest.param({NOON: 1200}, 12, id="twelve times as much"),
        pytest.param({NOON: 5}, 0.05, id="a twentieth"),
        pytest.param({NOON + HOUR: 9000}, 1, id="an hour without a history"),
        pytest.param({NOON: 5, NOON + DAY: 300}, 0.05, id="the oddest of several hours"),
    ],
)
def test_the_volume_against_its_history(volumes: dict[datetime, int], ratio: float) -> None:
    assert volume_ratio(volumes, at_noon(*[100] * LEAST_DAYS)) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("severities", "shift"),
    [
        pytest.param({}, 0, id="no event carries a severity"),
        pytest.param({"ERROR": 99}, 0, id="too few events to judge by"),
        pytest.param({"INFO": 98, "WARN": 2}, 0, id="as usual"),
        pytest.param({"INFO": 49, "WARN": 51}, 0.49, id="more warnings"),
        pytest.param({"WARN": 100}, 0.98, id="a severity is gone"),
        pytest.param({"INFO": 68, "WARN": 2, "FATAL": 30}, 0.3, id="a severity never seen before"),
    ],
)
def test_the_shares_of_severities_against_the_usual_ones(
    severities: dict[str, int], shift: float
) -> None:
    assert severity_shift(severities, {"INFO": 980, "WARN": 20}) == pytest.approx(shift)


def test_without_a_history_no_share_of_severities_is_unusual() -> None:
    assert severity_shift({"ERROR": 500}, {}) == 0


EXPECTATIONS = [
    pytest.param(expectation, id=f"{layer} {expectation.name}")
    for layer, suite in SUITES.items()
    for expectation in suite
]


@pytest.mark.parametrize("expectation", EXPECTATIONS)
def test_each_expectation_is_told_as_a_sentence(expectation: Expectation) -> None:
    assert expectation.least is not None or expectation.most is not None
    told = expectation.reason(7)
    assert ", expected " in told
    assert "{" not in told
    assert expectation.column not in told


@pytest.mark.parametrize("layer", SUITES)
def test_the_expectations_of_a_layer_have_names_of_their_own(layer: str) -> None:
    names = [expectation.name for expectation in SUITES[layer]]
    assert len(set(names)) == len(names) == len(columns_of(layer))
