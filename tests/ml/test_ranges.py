"""Numbers that leave their range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.ranges import PAUSE, Ranges
from ml.windows import Windows, windows_from_events
from tests.ml.conftest import START

RNG = np.random.default_rng(0)
LATENCIES = RNG.gamma(4, 12, size=1000).round()
SIZES = RNG.lognormal(12, 1.5, size=1000).round()


def windows_of(*places: Sequence[float | None]) -> Windows:
    """One window a value, of a template with these parameters."""
    return windows_from_events(
        pl.DataFrame(
            {
                "window_id": [f"{number:05d}" for number in range(len(places[0]))],
                "template_id": "t",
                "numbers": [list(values) for values in zip(*places, strict=True)],
            },
            schema_overrides={"numbers": pl.List(pl.Float64)},
        )
    )


@pytest.mark.parametrize(
    ("learnt", "odd"),
    [
        pytest.param(LATENCIES, 50 * 48, id="a latency fifty times the usual"),
        pytest.param(SIZES, 1e13, id="a size far beyond all"),
        pytest.param(SIZES, 0.0, id="nothing"),
        pytest.param(-LATENCIES, -50 * 48, id="below zero"),
    ],
)
def test_a_number_far_outside_is_odd(learnt: Any, odd: float) -> None:
    ranges = Ranges.fit(windows_of(learnt))
    assert ranges.odd(windows_of(learnt)).is_empty()
    (found,) = ranges.odd(windows_of([*learnt[:5], odd])).rows(named=True)
    assert (found["event"], found["place"], found["number"]) == (5, 0, odd)
    assert not found["low"] <= odd <= found["high"]
    assert ranges.excess_of_events(windows_of([learnt[0], odd])).tolist() == [0, found["excess"]]


@pytest.mark.parametrize("tail", ["gamma", "lognormal", "pareto"])
def test_later_numbers_of_the_same_kind_are_not_odd(tail: str) -> None:
    draw = {
        "gamma": lambda rng: rng.gamma(2, 30, size=600),
        "lognormal": lambda rng: rng.lognormal(8, 2, size=600),
        "pareto": lambda rng: rng.pareto(1, size=600) + 1,
    }[tail]
    odd = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        odd += len(Ranges.fit(windows_of(draw(rng))).odd(windows_of(draw(rng))))
    assert odd <= 5


@pytest.mark.parametrize(
    "learnt",
    [
        pytest.param(RNG.integers(10**6, 10**9, 500), id="identifiers"),
        pytest.param(RNG.integers(30_000, 60_000, 500), id="ports"),
        pytest.param(np.arange(1000, 1500), id="a counter"),
        pytest.param(1.7e9 + np.cumsum(RNG.exponential(5, 500)), id="a clock"),
        pytest.param(np.cumsum(RNG.lognormal(0, 1, 500)), id="a total"),
        pytest.param(np.full(500, 7400), id="what never varies"),
        pytest.param(RNG.choice([200, 201, 404], 500), id="codes"),
        pytest.param([*LATENCIES[:10]], id="too few"),
        pytest.param(
            np.where(RNG.random(500) < 0.5, LATENCIES[:500], np.nan), id="mostly no numbers"
        ),
    ],
)
def test_what_is_no_quantity_has_no_range(learnt: Any) -> None:
    values = [None if np.isnan(each) else float(each) for each in learnt]
    assert Ranges.fit(windows_of(values)).table.is_empty()


def test_each_place_has_a_range_of_its_own() -> None:
    ranges = Ranges.fit(windows_of(LATENCIES, SIZES))
    found = ranges.odd(windows_of([40.0, 4e5], [4e5, 4e5]))
    assert found.select("event", "place").rows() == [(1, 0)]


def test_anomalies_in_training_do_not_widen_the_range() -> None:
    learnt = np.where(np.arange(1000) % 100 == 50, 100_000, LATENCIES)
    slow = windows_of([5_000.0])
    assert Ranges.fit(windows_of(learnt)).odd(slow).is_empty()
    assert len(Ranges.fit(windows_of(learnt), anomalous=20).odd(slow)) == 1


def test_windows_without_numbers(make_windows: Any) -> None:
    windows = make_windows([["a", "b"]] * 30)
    assert Ranges.fit(windows).table.is_empty()
    assert Ranges.fit(windows_of(LATENCIES)).excess_of_events(windows).tolist() == [0] * 60


WAITS = RNG.gamma(2, 3, size=400)


def sessions(waits: Sequence[float], *, keyed: bool = True) -> Windows:
    """One window a value: `ask`, and so many seconds later `answer`."""
    asked = [START + timedelta(hours=number) for number in range(len(waits))]
    moments = [
        moment
        for start, wait in zip(asked, waits, strict=True)
        for moment in (start, start + timedelta(seconds=float(wait)))
    ]
    windows = windows_from_events(
        pl.DataFrame(
            {
                "window_id": [f"{number // 2:05d}" for number in range(len(moments))],
                "template_id": ["ask", "answer"] * len(waits),
                "event_time": moments,
            }
        )
    )
    keys = windows.spans["window_id"] if keyed else pl.lit(None, pl.String)
    return replace(windows, spans=windows.spans.with_columns(session_key=keys))


def test_an_event_that_never_let_wait_so_long_is_late() -> None:
    ranges = Ranges.fit(sessions(WAITS))
    assert ranges.odd(sessions(WAITS)).is_empty()
    (late,) = ranges.odd(sessions([5.0, 0.0, 3600.0, 5.0])).rows(named=True)
    assert (late["window"], late["event"], late["template_id"]) == (2, 5, "answer")
    assert (late["place"], late["number"], late["low"]) == (PAUSE, 3600, 0)
    assert late["high"] == pytest.approx(WAITS.max(), abs=1e-6)


@pytest.mark.parametrize(
    ("learnt", "wait"),
    [
        pytest.param(WAITS, 9 * WAITS.max(), id="not ten times as long as ever"),
        pytest.param(WAITS / 1000, 0.9, id="less than a second"),
        pytest.param(RNG.pareto(0.5, 400), 1e6, id="where waits are of every length"),
        pytest.param(WAITS[:15], 3600, id="where little is known"),
    ],
)
def test_what_is_not_late(learnt: Any, wait: float) -> None:
    assert Ranges.fit(sessions(learnt)).odd(sessions([wait])).is_empty()


def test_windows_that_are_no_sessions_have_no_pauses() -> None:
    assert Ranges.fit(sessions(WAITS, keyed=False)).table.is_empty()
