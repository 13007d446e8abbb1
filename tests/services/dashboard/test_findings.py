"""Findings in words, and the odd numbers of a line."""

from __future__ import annotations

from typing import Any

import pytest

from services.dashboard.findings import in_words, odd_numbers


def finding(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "template_id": "t", "text": "x", "found": 1, "expected": 2, **more}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        pytest.param(finding("new"), "never seen before, once", id="new"),
        pytest.param(finding("missing"), "missing, where 2 times is normal", id="missing"),
        pytest.param(
            finding("late", value={"place": -1, "number": 9000.4, "low": 0, "high": 41.5}),
            "came 2:30:00 h after the event before it, where at most 0:00:42 h is normal",
            id="late",
        ),
    ],
)
def test_a_finding_in_words(odd: dict[str, Any], words: str) -> None:
    assert in_words(odd) == words


def test_a_number_out_of_its_range_is_found_in_the_line_and_a_pause_is_not() -> None:
    value = {"place": 0, "number": 900.0, "low": 1, "high": 9}
    line = "took 900 ms, part 1900"
    assert odd_numbers(line, "t", [finding("value", value=value)]) == [(5, 8)]
    assert odd_numbers(line, "t", [finding("late", value=value)]) == []
