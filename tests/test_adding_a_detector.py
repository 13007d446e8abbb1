"""The guide to adding a detector: its code runs and passes the checks."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest

from include.settings import PROJECT_ROOT
from ml.checks import sessions

GUIDE = (PROJECT_ROOT / "docs" / "adding-a-detector.md").read_text()
DETECTOR, LOOP = (
    textwrap.dedent(block)
    for block in re.findall(r"^   ```python\n(.*?)^   ```", GUIDE, re.MULTILINE | re.DOTALL)
)


@pytest.fixture
def names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(DETECTOR, found)  # noqa: S102  the guide's own code
    return found


def test_it_has_six_steps() -> None:
    assert re.findall(r"^(\d)\. \*\*", GUIDE, re.MULTILINE) == list("123456")


def test_the_detector_passes_the_checks(names: dict[str, Any]) -> None:
    exec(LOOP, names)  # noqa: S102


def test_the_detector_finds_what_it_is_for(names: dict[str, Any]) -> None:
    detector = names["Length"]().fit(sessions([["a", "b"], ["a", "b", "c"]] * 10))
    usual, burst = detector.score(sessions([["a", "b"], ["a"] * 50]))
    assert burst > 3 > usual
