"""New, gone and changed templates."""

from __future__ import annotations

import pytest

from ml.templates.changes import Use, changes


@pytest.mark.parametrize(
    ("before", "since", "kind"),
    [
        pytest.param(0, 1, "new", id="a single event of a kind that never was"),
        pytest.param(1, 0, "gone", id="a rare one that has not come since"),
        pytest.param(1000, 300, "more", id="three times as often"),
        pytest.param(1000, 30, "less", id="a third of what it was"),
        pytest.param(1000, 110, None, id="a tenth more"),
        pytest.param(10, 3, None, id="three times as often, but too few to tell"),
        pytest.param(100_000, 15_000, None, id="surely more, but by half only"),
        pytest.param(0, 0, None, id="never seen"),
    ],
)
def test_a_change_is_told_by_its_kind(before: int, since: int, kind: str | None) -> None:
    found = changes([Use("t", before, since)], days_before=10, days_since=1)
    assert [change.kind for change in found] == ([kind] if kind else [])


def test_rates_are_per_day() -> None:
    (change,) = changes([Use("t", 1000, 0)], days_before=10, days_since=0.5)
    assert (change.before_per_day, change.since_per_day) == (100, 0)


def test_the_most_surprising_comes_first() -> None:
    uses = [Use("rare", 1, 0), Use("daily", 100, 0), Use("flood", 10, 100_000)]
    found = changes(uses, days_before=10, days_since=1)
    assert [change.template_id for change in found] == ["flood", "daily", "rare"]


def test_certainty_is_finite() -> None:
    (change,) = changes([Use("t", 0, 10**9)], days_before=10, days_since=1)
    assert change.surprise == 300


@pytest.mark.parametrize("days", [(0, 1), (1, 0)])
def test_a_period_without_length_is_refused(days: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        changes([], *days)
