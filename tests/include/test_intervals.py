"""From what a run was given to days, with and without a logical date."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from include.intervals import moment_of, nights, training_period

NIGHT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param({}, [(day(19), day(20))], id="the day before the run when nothing is said"),
        pytest.param({"first_day": "2026-11-03"}, [(day(3), day(4))], id="one day by its first"),
        pytest.param(
            {"first_day": "2026-11-03", "last_day": "2026-11-05"},
            [(day(3), day(4)), (day(4), day(5)), (day(5), day(6))],
            id="several days, the last one included",
        ),
        pytest.param(
            {"first_day": None, "last_day": "2026-11-03"}, [(day(3), day(4))], id="one by its last"
        ),
    ],
)
def test_nights(params: dict[str, str | None], expected: list[tuple[datetime, datetime]]) -> None:
    assert nights(params, NIGHT) == expected


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="exchange them"):
        nights({"first_day": "2026-11-05", "last_day": "2026-11-03"}, NIGHT)


def test_a_run_without_a_logical_date_speaks_of_when_it_was_to_start() -> None:
    context = {"logical_date": None, "dag_run": SimpleNamespace(run_after=NIGHT)}
    assert moment_of(context) == NIGHT


def test_a_backfill_speaks_of_its_logical_date() -> None:
    local = day(7).astimezone(ZoneInfo("Asia/Tokyo"))
    context = {"logical_date": local, "dag_run": SimpleNamespace(run_after=NIGHT)}
    assert moment_of(context) == day(7)


def test_training_looks_back_as_many_days_as_the_form_says() -> None:
    start, end = training_period({"look_back_days": 12}, NIGHT)
    assert (end, (end - start).days) == (NIGHT, 12)


def test_training_takes_times_without_a_zone_as_utc() -> None:
    period = training_period({"period_start": "2026-11-01", "period_end": "2026-11-03"}, NIGHT)
    assert period == (day(1), day(3))


def test_an_empty_training_period_is_refused() -> None:
    with pytest.raises(ValueError, match="not before"):
        training_period({"period_start": "2026-11-03", "period_end": "2026-11-03"}, NIGHT)
