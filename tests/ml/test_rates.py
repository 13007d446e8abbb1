"""Hours that hold far fewer or far more events than usual."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.rates import DAYS_OF_HISTORY, odd_spans

START = datetime(2026, 3, 16, tzinfo=UTC)
END = START + timedelta(days=1)
HOUR = timedelta(hours=1)


def usual(days: int = DAYS_OF_HISTORY, seed: int = 1) -> dict[datetime, int]:
    """Days of counts that vary by a fifth around 100 at night and 1,000 by day."""
    rng = np.random.default_rng(seed)
    hours = [START - n * HOUR for n in range(-23, days * 24 + 1)]
    return {
        hour: int(rng.poisson((1000 if 8 <= hour.hour < 20 else 100) * rng.gamma(25, 1 / 25)))
        for hour in hours
    }


@pytest.mark.parametrize(
    ("changes", "kind", "hours"),
    [
        pytest.param({12: 0}, "silence", (12, 13), id="an hour of silence by day"),
        pytest.param({12: 0, 13: 0}, "silence", (12, 14), id="two silent hours are one span"),
        pytest.param({12: 60}, "few", (12, 13), id="a trickle"),
        pytest.param({3: 900}, "many", (3, 4), id="a busy hour at night"),
    ],
)
def test_an_odd_hour_is_found(
    changes: Mapping[int, int], kind: str, hours: tuple[int, int]
) -> None:
    volumes = usual() | {START + hour * HOUR: events for hour, events in changes.items()}
    (span,) = odd_spans(volumes, START, END)
    assert (span.kind, span.start.hour, span.end.hour) == (kind, *hours)
    assert span.found == sum(changes.values())


def test_a_silent_hour_may_be_absent() -> None:
    volumes = usual()
    del volumes[START + 12 * HOUR]
    (span,) = odd_spans(volumes, START, END)
    assert span.reason.startswith("silence from 12:00 to 13:00: no events, usually about")


def test_usual_days_raise_next_to_no_alarms() -> None:
    alarms = sum(len(odd_spans(usual(seed=seed), START, END)) for seed in range(40))
    assert alarms <= 1


def test_too_short_a_history_says_nothing() -> None:
    volumes = usual(days=2) | {START + 12 * HOUR: 0}
    assert odd_spans(volumes, START, END) == []


def test_the_days_before_a_source_first_spoke_are_no_history() -> None:
    new = {hour: n for hour, n in usual().items() if hour >= START - timedelta(days=2)}
    assert odd_spans(new, START, END) == []


def test_no_volumes_at_all() -> None:
    assert odd_spans({}, START, END) == []
