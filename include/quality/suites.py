"""What is expected of each object of a batch, as plain values.

Great Expectations sees one row an object, not the events: the shares and extremes in that row are
computed in one pass while the object is read, so that checking a batch costs the same whatever
its size.

Only what makes an object useless sets it aside (`critical`); what is merely unusual is told
(`warning`), since an outage is unusual too and must be scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal

Severity = Literal["critical", "warning"]

# Below this, the format is wrong or the object is no log: half of a log is no basis to judge by.
LEAST_PARSED_SHARE = 0.5
# Volume is compared with the same hour of the day on at least this many earlier days.
LEAST_DAYS = 3
# An hour between a tenth of and ten times its usual volume is not worth a word.
VOLUME_BAND = (0.1, 10.0)
# A share of errors this much above the source's own is worth one.
ERROR_SHARE_RISE = 0.2
ERROR_SEVERITIES = ("ERROR", "CRITICAL", "FATAL")


@dataclass(frozen=True, slots=True)
class Expectation:
    """That a column of the objects' table lies between two values, or is not null."""

    name: str
    column: str
    severity: Severity
    told: str
    least: float | None = None
    most: float | None = None


PARSED = (
    Expectation(
        "share_of_lines_parsed",
        "parsed_share",
        "critical",
        f"at least {LEAST_PARSED_SHARE:.0%} of the lines parse",
        least=LEAST_PARSED_SHARE,
    ),
    Expectation(
        "times_not_null", "events_without_time", "critical", "every event has a time", most=0
    ),
    Expectation(
        "messages_not_null",
        "events_without_message",
        "critical",
        "every event has a message",
        most=0,
    ),
    Expectation(
        "times_plausible",
        "events_in_the_future",
        "critical",
        "no event is more than a day younger than its object",
        most=0,
    ),
    Expectation(
        "share_of_errors_usual",
        "error_share_rise",
        "warning",
        f"the share of errors is at most {ERROR_SHARE_RISE:.0%} above that of the batch's source",
        most=ERROR_SHARE_RISE,
    ),
    Expectation(
        "volume_usual",
        "volume_ratio",
        "warning",
        "each hour holds between a tenth of and ten times its usual events",
        least=VOLUME_BAND[0],
        most=VOLUME_BAND[1],
    ),
)
EVENTS = (
    Expectation(
        "all_events_written", "events_missing", "critical", "as many events as were parsed", most=0
    ),
    Expectation(
        "templates_not_null",
        "events_without_template",
        "critical",
        "every event has a template",
        most=0,
    ),
    Expectation(
        "parameters_not_null",
        "events_without_parameters",
        "critical",
        "every event has a list of parameters",
        most=0,
    ),
)
SUITES = {"parsed": PARSED, "events": EVENTS}


def usual_volume(history: Mapping[datetime, int], hour: datetime) -> float | None:
    """Median events in this hour of the day on earlier days, None where too few are known.

    >>> from datetime import UTC, timedelta
    >>> noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    >>> usual_volume({noon - timedelta(days=d): 100 * d for d in (1, 2, 3)}, noon)
    200
    """
    same_hour = [n for time, n in history.items() if time.hour == hour.hour and time < hour]
    return median(same_hour) if len(same_hour) >= LEAST_DAYS else None


def volume_ratio(volumes: Mapping[datetime, int], history: Mapping[datetime, int]) -> float:
    """The ratio to the usual volume that is furthest from one; one where nothing is known."""
    ratios = [
        events / usual for hour, events in volumes.items() if (usual := usual_volume(history, hour))
    ]
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=1.0)


def error_share(severities: Mapping[str, int]) -> float:
    """Errors among the events that carry a severity."""
    total = sum(severities.values())
    return sum(severities.get(name, 0) for name in ERROR_SEVERITIES) / total if total else 0.0


def columns_of(layer: str) -> Sequence[str]:
    return [expectation.column for expectation in SUITES[layer]]
