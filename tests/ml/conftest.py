"""Small windows to test with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml.windows import SessionRule as Rule
from ml.windows import Windows, closed_windows

START = datetime(2026, 3, 2, tzinfo=UTC)
RULE = Rule(timedelta(minutes=30), timedelta(hours=6))

MakeWindows = Callable[[Sequence[Sequence[str]]], Windows]


@pytest.fixture
def make_windows() -> MakeWindows:
    """Sessions out of sequences of template ids: one a minute, its events a second apart."""

    def make(sequences: Sequence[Sequence[str]]) -> Windows:
        rows = [
            {
                "event_time": START + timedelta(minutes=number, seconds=position),
                "session_key": f"s{number:05d}",
                "severity": "INFO",
                "template_id": template,
                "object_key": "a.log",
                "line_number": 1000 * number + position + 1,
            }
            for number, sequence in enumerate(sequences)
            for position, template in enumerate(sequence)
        ]
        schema = {
            "event_time": pl.Datetime("us", "UTC"),
            "session_key": pl.String,
            "severity": pl.String,
            "template_id": pl.String,
            "object_key": pl.String,
            "line_number": pl.Int64,
        }
        events = pl.DataFrame(rows, schema=schema)
        return closed_windows(events, RULE, START, START + timedelta(days=365))

    return make


MakeNumbered = Callable[[Sequence[Sequence[float]]], Windows]


@pytest.fixture
def make_numbered(make_windows: MakeWindows) -> MakeNumbered:
    """Sessions of the template `wrote <*> in <*> ms` out of its second numbers; the first are
    alike."""

    def make(sessions: Sequence[Sequence[float]]) -> Windows:
        windows = make_windows([["w"] * len(numbers) for numbers in sessions])
        numbers = pl.Series([[4096.0, number] for session in sessions for number in session])
        return replace(windows, events=windows.events.with_columns(numbers=numbers))

    return make


MakeKeyed = Callable[[Sequence[tuple[str | None, Sequence[str]]]], Windows]


@pytest.fixture
def make_keyed(make_windows: MakeWindows) -> MakeKeyed:
    """Sessions out of keys, that may come back, and sequences of template ids."""

    def make(sessions: Sequence[tuple[str | None, Sequence[str]]]) -> Windows:
        windows = make_windows([templates for _, templates in sessions])
        keys = pl.Series([key for key, _ in sessions], dtype=pl.String)
        return replace(windows, spans=windows.spans.with_columns(session_key=keys))

    return make
