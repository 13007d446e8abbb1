"""The plain rules that a champion must beat."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from ml.checks import sessions
from ml.rules import RULES, seasonal_rate
from ml.windows import Windows

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"]] * 20


@pytest.mark.parametrize(
    ("rule", "sequence"),
    [
        ("new template", ["a", "x", "c"]),
        ("length", ["a", *["b"] * 30, "c"]),
        ("unseen count vector", ["a", "c"]),
    ],
)
def test_each_rule_sees_what_it_is_named_after(rule: str, sequence: list[str]) -> None:
    odd, usual = RULES[rule](sessions(USUAL), sessions([sequence, *USUAL[:2]]))[[0, 1]]
    assert odd > usual


def test_the_order_of_events_makes_no_count_vector_unseen() -> None:
    train, swapped = sessions(USUAL), sessions([["b", "a", "c"]])
    assert RULES["unseen count vector"](train, swapped).tolist() == [0.0]


def hourly(counts: list[int]) -> Windows:
    """One window an hour with so many events."""
    windows = sessions([["a"] * count for count in counts])
    hour = np.arange(len(counts))
    moved = [
        span + timedelta(hours=int(n)) - timedelta(minutes=int(n))
        for n, span in zip(hour, windows.spans["starts_at"], strict=True)
    ]
    starts = pl.Series(moved)
    spans = windows.spans.with_columns(starts_at=starts, ends_at=starts)
    events = windows.events.with_columns(event_time=starts.gather(windows.rows_of_events))
    return replace(windows, spans=spans, events=events)


def test_the_seasonal_rate_sees_an_hour_with_far_too_many_events() -> None:
    windows = hourly([100 + n % 7 for n in range(24 * 8)] + [2000] + [100] * 5)
    rows = np.arange(len(windows))
    train, later = windows.take(rows[: 24 * 8]), windows.take(rows[24 * 8 :])
    scores = seasonal_rate(train, later)
    assert scores[0] > 0
    assert scores[0] == scores.max()


@pytest.mark.parametrize("rule", RULES)
def test_rules_score_no_windows(rule: str) -> None:
    assert RULES[rule](sessions(USUAL), sessions([])).shape == (0,)
