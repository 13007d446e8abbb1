"""From what a DAG run was given to half-open intervals in UTC.

Runs triggered by hand or by an asset may have no logical date; scheduled runs and backfills do.
Here, and nowhere else, one of them becomes days.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

DAY = timedelta(days=1)
# How long a period is where nobody says so.
LOOK_BACK = timedelta(days=30)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def moment_of(context: Mapping[str, Any]) -> datetime:
    """The moment a run speaks of: its logical date, or when it was to start."""
    moment: datetime = context.get("logical_date") or context["dag_run"].run_after
    return moment.astimezone(UTC)


def months_before(moment: datetime, months: int) -> datetime:
    """The start of the month that lies so many months before that of `moment`.

    >>> str(months_before(datetime(2026, 2, 17, tzinfo=UTC), 3))
    '2025-11-01 00:00:00+00:00'
    """
    count = moment.year * 12 + moment.month - 1 - months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def nights(params: Mapping[str, Any], moment: datetime) -> list[tuple[datetime, datetime]]:
    """The UTC days to score: from `first_day` to `last_day`, or the one before `moment`.

    Raises ValueError where the days are in the wrong order.
    """
    yesterday = moment.date() - DAY
    last = date.fromisoformat(params.get("last_day") or params.get("first_day") or str(yesterday))
    first = date.fromisoformat(params.get("first_day") or str(last))
    if first > last:
        raise ValueError(f"first_day {first} is after last_day {last}: exchange them")
    days = (last - first).days + 1
    return [(midnight(first + n * DAY), midnight(first + (n + 1) * DAY)) for n in range(days)]


def training_period(params: Mapping[str, Any], moment: datetime) -> tuple[datetime, datetime]:
    """start <= time < end: from the form, or the days of its look-back before `moment`.

    Raises ValueError where the period is empty.
    """
    end = _moment(params.get("period_end")) or moment
    start = _moment(params.get("period_start")) or end - params["look_back_days"] * DAY
    if start >= end:
        raise ValueError(f"period_start {start} is not before period_end {end}")
    return start, end


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
