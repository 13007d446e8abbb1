"""Rates: hours that hold far fewer or far more events than that hour of the day usually does.

Windows cannot show that nothing came; this can.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median, variance
from typing import Literal

from scipy.stats import nbinom

HOUR = timedelta(hours=1)
DAYS_OF_HISTORY = 14
# With fewer days the spread of an hour is anyone's guess.
LEAST_DAYS = 3
# No service is as regular as a coin: the counts of an hour vary by a tenth at least.
LEAST_DISPERSION = 0.01
# -log10 of the probability from which on an hour is odd: at one in a hundred thousand, each of
# 24 hours raises a false alarm once in more than ten years.
THRESHOLD = 5.0
LARGEST_SCORE = 300.0


@dataclass(frozen=True, slots=True)
class OddSpan:
    """Neighbouring hours that are odd in the same way: start <= t < end, in UTC.

    found and expected: events in the span; score: -log10 of the smallest tail probability of its
    hours.
    """

    start: datetime
    end: datetime
    kind: Literal["silence", "few", "many"]
    found: int
    expected: float
    score: float

    @property
    def reason(self) -> str:
        when = f"from {self.start:%H:%M} to {self.end:%H:%M}"
        usual = f"usually about {self.expected:,.0f}"
        if self.kind == "silence":
            return f"silence {when}: no events, {usual}"
        return f"{self.kind} events {when}: {self.found:,}, {usual}"


def odd_spans(volumes: Mapping[datetime, int], start: datetime, end: datetime) -> list[OddSpan]:
    """The odd spans among the hours start <= t < end, in order of time.

    volumes: events of each hour, of `DAYS_OF_HISTORY` days before `start` and up to `end`; hours
    without events may be absent once the first hour is over.

    The count of an hour is taken as negative binomial, as a Poisson count would call every busy
    day odd: variance m + a m^2 around the mean m of the same hour on earlier days, with the
    dispersion a shared by all hours of the day. The uncertainty of a mean of k days adds 1 / k of
    the variance.
    """
    first = min(volumes, default=end)
    hours = [start + n * HOUR for n in range(int((end - start) / HOUR))]
    history = {hour: _earlier(volumes, hour, start, first) for hour in hours}
    samples = [sample for sample in history.values() if len(sample) >= LEAST_DAYS]
    dispersion = max(median(map(_dispersion, samples)), LEAST_DISPERSION) if samples else 0.0
    spans: list[OddSpan] = []
    for hour in hours:
        if len(history[hour]) < LEAST_DAYS:
            continue
        odd = _judged(hour, volumes.get(hour, 0), history[hour], dispersion)
        if odd.score <= THRESHOLD:
            continue
        if spans and spans[-1].end == odd.start and spans[-1].kind == odd.kind:
            odd = _together(spans.pop(), odd)
        spans.append(odd)
    return spans


def _earlier(
    volumes: Mapping[datetime, int], hour: datetime, start: datetime, first: datetime
) -> list[int]:
    """Events of the same hour of the day before `start`, since the source first spoke."""
    days = [hour - n * timedelta(days=1) for n in range(1, DAYS_OF_HISTORY + 1)]
    return [volumes.get(day, 0) for day in days if first <= day < start]


def _dispersion(sample: Sequence[int]) -> float:
    mean = fmean(sample)
    return max((variance(sample, mean) - mean) / mean**2, 0.0) if mean else 0.0


def _judged(hour: datetime, found: int, sample: Sequence[int], dispersion: float) -> OddSpan:
    mean = fmean(sample)
    kind: Literal["silence", "few", "many"] = "many"
    if found < mean:
        kind = "few" if found else "silence"
    if not mean:
        # An hour that never held an event: what comes is for the windows to judge.
        return OddSpan(hour, hour + HOUR, kind, found, mean, 0.0)
    spread = dispersion + (dispersion + 1 / mean) / len(sample)
    count = nbinom(1 / spread, 1 / (1 + spread * mean))
    log_p = count.logcdf(found) if found < mean else count.logsf(found - 1)
    score = min(-float(log_p) / math.log(10), LARGEST_SCORE)
    return OddSpan(hour, hour + HOUR, kind, found, mean, score)


def _together(one: OddSpan, next_one: OddSpan) -> OddSpan:
    return OddSpan(
        one.start,
        next_one.end,
        one.kind,
        one.found + next_one.found,
        one.expected + next_one.expected,
        max(one.score, next_one.score),
    )
