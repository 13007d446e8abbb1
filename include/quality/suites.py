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
# A severity whose share is this much above or below the source's own is worth one,
SEVERITY_SHIFT = 0.2
# in an object of at least so many events: the shares of fewer say little.
LEAST_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Expectation:
    """That a column of the objects' table lies between two values.

    found: the sentence that tells the value, as a format. told: what was expected instead.
    """

    name: str
    column: str
    severity: Severity
    found: str
    told: str
    least: float | None = None
    most: float | None = None

    def reason(self, value: float) -> str:
        """What was found and what was expected, for people.

        >>> PARSED[0].reason(0.25)
        '25.0% of the lines parse, expected at least 50%'
        """
        return f"{self.found.format(value)}, expected {self.told}"


def _none(name: str, column: str, found: str) -> Expectation:
    return Expectation(name, column, "critical", found, "none", most=0)


PARSED = (
    Expectation(
        "share_of_lines_parsed",
        "parsed_share",
        "critical",
        "{:.1%} of the lines parse",
        f"at least {LEAST_PARSED_SHARE:.0%}",
        least=LEAST_PARSED_SHARE,
    ),
    _none("times_not_null", "events_without_time", "{:.0f} events have no time"),
    _none("messages_not_null", "events_without_message", "{:.0f} events have no message"),
    _none(
        "times_plausible",
        "events_in_the_future",
        "{:.0f} events are over a day younger than their object",
    ),
    Expectation(
        "shares_of_severities_usual",
        "severity_shift",
        "warning",
        "the share of a severity differs from the source's usual one by {:.1%}",
        f"at most {SEVERITY_SHIFT:.0%}",
        most=SEVERITY_SHIFT,
    ),
    Expectation(
        "volume_usual",
        "volume_ratio",
        "warning",
        "an hour holds {:.3g} times its usual events",
        f"{VOLUME_BAND[0]:g} to {VOLUME_BAND[1]:g} times",
        least=VOLUME_BAND[0],
        most=VOLUME_BAND[1],
    ),
)
EVENTS = (
    _none("all_events_written", "events_missing", "{:.0f} events too few or too many are written"),
    _none("templates_not_null", "events_without_template", "{:.0f} events have no template"),
    _none(
        "parameters_not_null",
        "events_without_parameters",
        "{:.0f} events have no list of parameters",
    ),
)
SUITES = {"parsed": PARSED, "events": EVENTS}


def usual_volume(history: Mapping[datetime, float], hour: datetime) -> float | None:
    """Median events in this hour of the day on earlier days, None where too few are known.

    >>> from datetime import UTC, timedelta
    >>> noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    >>> usual_volume({noon - timedelta(days=d): 100 * d for d in (1, 2, 3)}, noon)
    200
    """
    same_hour = [n for time, n in history.items() if time.hour == hour.hour and time < hour]
    return median(same_hour) if len(same_hour) >= LEAST_DAYS else None


def volume_ratio(volumes: Mapping[datetime, int], history: Mapping[datetime, float]) -> float:
    """The ratio to the usual volume that is furthest from one; one where nothing is known.

    volumes: an object's events of each hour. history: what one object held, so that a source that
    writes many objects an hour is not compared with their sum.
    """
    ratios = [
        events / usual for hour, events in volumes.items() if (usual := usual_volume(history, hour))
    ]
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=1.0)


def severity_shift(severities: Mapping[str, int], usual: Mapping[str, int]) -> float:
    """How far the share of the severity that moved most is from its usual one, from 0 to 1.

    Both count events by severity; 0 where either holds too few to judge by.

    >>> severity_shift({"INFO": 50, "ERROR": 50}, {"INFO": 980, "ERROR": 20})
    0.48
    """
    total, usual_total = sum(severities.values()), sum(usual.values())
    if min(total, usual_total) < LEAST_EVENTS:
        return 0.0
    return max(
        abs(severities.get(name, 0) / total - usual.get(name, 0) / usual_total)
        for name in severities.keys() | usual.keys()
    )


def columns_of(layer: str) -> Sequence[str]:
    return [expectation.column for expectation in SUITES[layer]]
