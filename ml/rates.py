"""Rates: hours that hold far fewer or far more events than usual, and silence.

Windows cannot show that nothing came; this can.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import nbinom

Floats = npt.NDArray[np.float64]
Kind = Literal["silence", "few", "many"]

HOUR = timedelta(hours=1)
DAY = 24
WEEK = 7 * DAY
FORTNIGHT = 2 * WEEK
# The seasons: the same hour of fourteen days, and of three weeks, before.
PERIODS = {DAY: 14, WEEK: 3}
# What the judgement of an hour rests on: the weekly season of each hour of a fortnight, and the
# volume of the week before the first of these.
MEMORY = FORTNIGHT + PERIODS[WEEK] * WEEK + WEEK
HISTORY = MEMORY * HOUR
# With fewer days the spread of an hour is anyone's guess.
LEAST_DAYS = 3
# Nine hours make a majority: an incident of a working day is told whole and its end is not odd,
# while a new level is accepted within a dozen hours.
HOURS_OF_LEVEL = 17
# The variance of a median of so many, in those of one.
ERROR_OF_LEVEL = math.pi / 2 / HOURS_OF_LEVEL
# Hours in which fewer events are to be expected tell nothing of the level.
LEAST_TELLING = 3.0
# Silence is odd in hours in which the source spoke on so many of the days before.
ALWAYS = 0.6
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
    kind: Kind
    found: int
    expected: float
    score: float

    @property
    def reason(self) -> str:
        stamp = "%H:%M" if self.end - self.start <= DAY * HOUR else "%Y-%m-%d %H:%M"
        when = f"from {self.start:{stamp}} to {self.end:{stamp}}"
        usual = f"usually about {self.expected:,.0f}"
        if self.kind == "silence":
            return f"silence {when}: no events, {usual}"
        return f"{self.kind} events {when}: {self.found:,}, {usual}"


def odd_spans(volumes: Mapping[datetime, int], start: datetime, end: datetime) -> list[OddSpan]:
    """The odd spans among the hours start <= t < end, in order of time.

    volumes: events of each hour, from `HISTORY` before `start` up to `end`; hours without events
        may be absent.

    What is to be expected of an hour is its share of a day, by the same hour of the fourteen days
    before, times the level: the volume of the day by the median of the last `HOURS_OF_LEVEL` hours.
    So a level that has shifted is odd until it is the majority of these, and normal from then on,
    and a spike moves nothing. Hours without events have no say in the level: silence is told for
    as long as it lasts, and as there is enough of the fourteen days to compare with. It is judged
    by all events that are missing since it began, and its span begins there, even before `start`.

    The count of an hour is taken as negative binomial, as a Poisson count would call every busy
    day odd: variance m + a m^2 around the mean m, with the dispersion a shared by all hours (the
    median over days of the moment estimate). The uncertainty of season and level adds to it. As
    Sundays are like Sundays, an hour is odd where it is so by its share of a day and also by that
    of a week, by the same hour of three weeks; the season that fits better tells the dispersion.

    Each hour is judged by the `HISTORY` before it alone, so that it makes no difference in which
    pieces an interval is judged.
    """
    first = start - HISTORY
    hours = [first + n * HOUR for n in range(int((end - first) / HOUR))]
    counts = np.array([volumes.get(hour, 0) for hour in hours], dtype=np.float64)
    spans: list[OddSpan] = []
    for n in range(MEMORY, len(hours)):
        odd = _judged(hours[n], counts[n - MEMORY : n + 1])
        if odd is None or odd.score <= THRESHOLD:
            continue
        if spans and _is_one(spans[-1], odd, hours[n]):
            odd = _together(spans.pop(), odd)
        spans.append(odd)
    return spans


def _judged(hour: datetime, counts: Floats) -> OddSpan | None:
    """The last hour, or all that is silent up to it, by the season in which it is less odd; None
    where too little is known.

    counts: shape (MEMORY + 1,), those of the hour and of the hours before.
    """
    spoken = np.flatnonzero(counts)
    if not len(spoken) or len(counts) - spoken[0] <= LEAST_DAYS * DAY:
        return None
    known = np.where(np.arange(len(counts)) < spoken[0], np.nan, counts)
    days, weeks = (_Season.of(known, int(spoken[0]), period) for period in PERIODS)
    if days.samples[-1] < LEAST_DAYS:
        return None
    seasons, counts = (days, weeks.filled(days)), known[-FORTNIGHT - 1 :]
    dispersion = min(_dispersion(counts, each) for each in seasons)
    found = [_beside(hour, counts, each, dispersion) for each in seasons]
    return min(found, key=lambda odd: odd.score)


@dataclass(frozen=True, slots=True)
class _Season:
    """Of the last fortnight's hours and the hour to judge, each of shape (FORTNIGHT + 1,).

    volume: events of an hour, the mean of the period (day or week) up to each.
    share: what the same hours of the periods before had, as a ratio to their volume; NaN where
        there is no such hour. The lowest and highest do not count where there are three or more.
    samples: how many days or weeks it rests on.
    spoke: the share of them in which there was any event.
    """

    volume: Floats
    share: Floats
    samples: Floats
    spoke: Floats

    @classmethod
    def of(cls, known: Floats, first: int, period: int) -> "_Season":
        """first: when the source first spoke; before, nothing is known."""
        volume = _volume(known, first, period)
        lags = np.arange(1, PERIODS[period] + 1) * period
        rows = np.arange(len(known) - FORTNIGHT - 1, len(known)) - lags[:, None]
        counts = known[rows]
        is_known = ~np.isnan(counts)
        has_share = is_known & (volume[rows] > 0)
        shares = np.divide(counts, volume[rows], out=np.zeros(rows.shape), where=has_share)
        samples = has_share.sum(axis=0).astype(np.float64)
        extremes = np.where(has_share, shares, np.inf).min(axis=0) + shares.max(axis=0)
        is_trimmed = samples >= 3
        total = shares.sum(axis=0) - np.where(is_trimmed, extremes, 0.0)
        kept = samples - 2 * is_trimmed
        return cls(
            volume[-FORTNIGHT - 1 :],
            np.divide(total, kept, out=np.full(len(kept), np.nan), where=kept > 0),
            samples,
            (counts > 0).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1),
        )

    def filled(self, other: "_Season") -> "_Season":
        """This one where it has samples, else the other."""
        both = [(getattr(self, each.name), getattr(other, each.name)) for each in fields(self)]
        return _Season(*(np.where(self.samples > 0, own, others) for own, others in both))


def _volume(known: Floats, first: int, period: int) -> Floats:
    """The mean of the hours of a period up to each hour; in the first, that of all of it."""
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(known))])
    last = np.minimum(np.maximum(np.arange(len(known)), first + period - 1), len(known) - 1)
    since = np.maximum(last + 1 - period, first)
    volume: Floats = (sums[last + 1] - sums[since]) / (last + 1 - since)
    volume[:first] = np.nan
    return volume


def _beside(hour: datetime, counts: Floats, season: _Season, dispersion: float) -> OddSpan:
    expected = np.nan_to_num(season.share * _level(counts, season))
    found, since, mean = int(counts[-1]), FORTNIGHT, float(expected[-1])
    if not found:
        # Hours in which the source often says nothing miss nothing.
        missing = np.where(season.spoke >= ALWAYS, expected, 0.0)
        missing[: np.flatnonzero(counts)[-1] + 1] = 0.0
        mean = float(missing.sum())
        since = int(np.argmax(missing > 0)) if mean else since
    kind: Kind = "many" if found >= mean else "few" if found else "silence"
    score = 0.0
    # An hour that never held an event: what comes is for the windows to judge.
    if mean > 0:
        uncertainty = 1 / season.samples[since] + ERROR_OF_LEVEL
        score = _surprise(found, mean, dispersion, uncertainty)
    return OddSpan(hour - (FORTNIGHT - since) * HOUR, hour + HOUR, kind, found, mean, score)


def _level(counts: Floats, season: _Season) -> float:
    """Events of an hour of the usual share, by the last hours that tell, the judged one not among
    them; where these are few, the mean of the fortnight has as many votes as are missing."""
    counts, volume, share = counts[:-1], season.volume[:-1], season.share[:-1]
    last = np.flatnonzero((counts > 0) & (share * volume >= LEAST_TELLING))[-HOURS_OF_LEVEL:]
    spoke = (volume > 0) & (share > 0)
    mean = counts[spoke].sum() / share[spoke].sum() if spoke.any() else 0.0
    votes = [counts[last] / share[last], np.full(HOURS_OF_LEVEL - len(last), mean)]
    return float(np.median(np.concatenate(votes)))


def _dispersion(counts: Floats, season: _Season) -> float:
    """By how much the counts of each day before vary more than Poisson counts around their share
    of the volume; the median over the days."""
    mean = season.share * season.volume
    variance = (counts - mean) ** 2 / (1 + 1 / np.maximum(season.samples, 1))
    beyond, squares = (
        np.nan_to_num(each[:-1]).reshape(-1, DAY).sum(axis=1) for each in (variance - mean, mean**2)
    )
    of_days = beyond[squares > 0] / squares[squares > 0]
    return max(float(np.median(of_days)) if len(of_days) else 0.0, LEAST_DISPERSION)


def _surprise(found: int, mean: float, dispersion: float, uncertainty: float) -> float:
    """-log10 of the probability of a count so far from its mean, or farther.

    uncertainty: the variance of the mean, in those of one count.
    """
    spread = dispersion + (dispersion + 1 / mean) * uncertainty
    count = nbinom(1 / spread, 1 / (1 + spread * mean))
    log_p = count.logcdf(found) if found < mean else count.logsf(found - 1)
    return min(-float(log_p) / math.log(10), LARGEST_SCORE)


def _is_one(before: OddSpan, odd: OddSpan, hour: datetime) -> bool:
    """Whether an hour goes on with the span before it. A silence may be told, not be told for the
    hours that are mostly silent anyway, and be told again: it is one since it began."""
    goes_on = before.end == hour or (odd.kind == "silence" and odd.start < before.end)
    return before.kind == odd.kind and goes_on


def _together(one: OddSpan, next_one: OddSpan) -> OddSpan:
    if one.kind == "silence":
        # The later tells all that is missing.
        return replace(next_one, start=min(one.start, next_one.start))
    return OddSpan(
        one.start,
        next_one.end,
        one.kind,
        one.found + next_one.found,
        one.expected + next_one.expected,
        max(one.score, next_one.score),
    )
