"""Hours that hold far fewer or far more events than usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.rates import HISTORY, OddSpan, odd_spans

START = datetime(2026, 3, 16, tzinfo=UTC)
DAY = timedelta(days=1)
END = START + DAY
HOUR = timedelta(hours=1)


def usual(days: int = HISTORY // DAY, seed: int = 1, after: int = 1) -> dict[datetime, int]:
    """Days of counts before START, and after it, that vary by a fifth around 100 at night and
    1,000 by day."""
    rng = np.random.default_rng(seed)
    hours = [START - n * HOUR for n in range(1 - after * 24, days * 24 + 1)]
    return {
        hour: int(rng.poisson((1000 if 8 <= hour.hour < 20 else 100) * rng.gamma(25, 1 / 25)))
        for hour in hours
    }


def multiplied(volumes: Mapping[datetime, int], factor: float, hours: range) -> dict[datetime, int]:
    """hours: from START on."""
    changed = {START + n * HOUR: int(volumes[START + n * HOUR] * factor) for n in hours}
    return {**volumes, **changed}


@pytest.mark.parametrize(
    ("changes", "kind", "hours"),
    [
        pytest.param({12: 0}, "silence", (12, 13), id="an hour of silence by day"),
        pytest.param({12: 0, 13: 0}, "silence", (12, 14), id="two silent hours are one span"),
        pytest.param({12: 60}, "few", (12, 13), id="a trickle"),
        pytest.param({3: 900}, "many", (3, 4), id="a busy hour at night"),
    ],
)
def test_an_odd_hour_is_found(
    changes: Mapping[int, int], kind: str, hours: tuple[int, int]
) -> None:
    volumes = usual() | {START + hour * HOUR: events for hour, events in changes.items()}
    (span,) = odd_spans(volumes, START, END)
    assert (span.kind, span.start.hour, span.end.hour) == (kind, *hours)
    assert span.found == sum(changes.values())


def test_a_silent_hour_may_be_absent() -> None:
    volumes = usual()
    del volumes[START + 12 * HOUR]
    (span,) = odd_spans(volumes, START, END)
    assert span.reason.startswith("silence from 12:00 to 13:00: no events, usually about")


def test_a_slow_source_is_silent_once_enough_is_missing() -> None:
    rng = np.random.default_rng(0)
    volumes = {START + n * HOUR: int(rng.poisson(5)) for n in range(-24 * 30, 12)}
    (span,) = odd_spans(volumes, START, END)
    assert (span.kind, span.start, span.end) == ("silence", START + 12 * HOUR, END)
    assert 40 < span.expected < 80
    assert odd_spans(volumes, START, START + 13 * HOUR) == []


@pytest.mark.parametrize("nights", [2, 7, 10])
def test_a_source_that_stays_silent_is_told_each_night_since_when(nights: int) -> None:
    fell_silent = START + 18 * HOUR
    volumes = {hour: count for hour, count in usual().items() if hour < fell_silent}
    last = START + nights * DAY
    (span,) = odd_spans(volumes, last - DAY, last)
    assert (span.kind, span.start, span.end) == ("silence", fell_silent, last)
    assert f"from {fell_silent:%Y-%m-%d} 18:00 to " in span.reason


def test_an_outage_is_told_though_there_was_one_a_week_before() -> None:
    outages = {START + (day * 24 + hour) * HOUR for day in (-7, 0) for hour in range(9, 13)}
    volumes = {hour: count for hour, count in usual().items() if hour not in outages}
    (span,) = odd_spans(volumes, START, END)
    assert (span.kind, span.start, span.end) == ("silence", START + 9 * HOUR, START + 13 * HOUR)


def test_what_speaks_again_at_its_old_level_is_normal() -> None:
    volumes = usual(after=9)
    volumes = {hour: n for hour, n in volumes.items() if not START <= hour < START + 5 * DAY}
    assert odd_spans(volumes, START + 5 * DAY, START + 9 * DAY) == []


def test_a_source_that_often_says_nothing_may_be_silent() -> None:
    rng = np.random.default_rng(0)
    hours = [START + n * HOUR for n in range(-24 * 40, 24 * 7)]
    batches = {hour: int(rng.poisson(5000)) for hour in hours if hour.day % 2 and hour.hour == 3}
    assert odd_spans(batches, START, START + 7 * DAY) == []


@pytest.mark.parametrize("factor", [0.2, 3.0, 10.0])
def test_a_new_level_is_told_and_accepted_within_a_dozen_hours(factor: float) -> None:
    for seed in range(3):
        volumes = multiplied(usual(seed=seed, after=15), factor, range(6, 15 * 24))
        span, *later = odd_spans(volumes, START, START + 15 * DAY)
        assert START + 6 * HOUR <= span.start <= START + 8 * HOUR
        assert span.kind == ("few" if factor < 1 else "many")
        assert sum((each.end - each.start) / HOUR for each in [span, *later]) <= 12
        assert all(each.end <= START + 18 * HOUR for each in later)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_an_incident_of_a_working_day_is_told_whole_and_its_end_is_not(factor: float) -> None:
    volumes = multiplied(usual(after=15), factor, range(8, 16))
    (span,) = odd_spans(volumes, START, START + 15 * DAY)
    assert (span.start, span.end) == (START + 8 * HOUR, START + 16 * HOUR)


def test_quiet_weekends_and_weekly_jobs_are_normal_once_seen() -> None:
    volumes = usual(after=14)
    for hour in volumes:
        if hour.weekday() >= 5:
            volumes[hour] //= 10
        if (hour.weekday(), hour.hour) == (6, 3):
            volumes[hour] += 5000
    assert odd_spans(volumes, START, START + 14 * DAY) == []


def test_it_makes_no_difference_in_which_pieces_an_interval_is_judged() -> None:
    volumes = multiplied(usual(after=4, days=60), 4.0, range(30, 96)) | {START + 9 * HOUR: 10_000}
    volumes = {hour: n for hour, n in volumes.items() if not 80 <= (hour - START) / HOUR < 92}
    whole = odd_spans(volumes, START, START + 4 * DAY)
    assert {span.kind for span in whole} == {"many", "silence"}
    for hours in (1, 7, 24):
        pieces = [
            span
            for start in range(0, 96, hours)
            for span in odd_spans(
                {hour: n for hour, n in volumes.items() if hour < START + (start + hours) * HOUR},
                START + start * HOUR,
                START + min(start + hours, 96) * HOUR,
            )
        ]
        assert told(pieces) == told(whole)
        assert max(span.score for span in pieces) == max(span.score for span in whole)


def told(spans: Sequence[OddSpan]) -> set[tuple[str, datetime]]:
    """The odd hours, by kind."""
    return {
        (span.kind, span.start + n * HOUR)
        for span in spans
        for n in range(int((span.end - span.start) / HOUR))
    }


def test_usual_days_raise_next_to_no_alarms() -> None:
    alarms = sum(len(odd_spans(usual(seed=seed), START, END)) for seed in range(40))
    assert alarms <= 1


def test_too_short_a_history_says_nothing() -> None:
    volumes = usual(days=2) | {START + 12 * HOUR: 0}
    assert odd_spans(volumes, START, END) == []


def test_the_days_before_a_source_first_spoke_are_no_history() -> None:
    new = {hour: n for hour, n in usual().items() if hour >= START - timedelta(days=2)}
    assert odd_spans(new, START, END) == []


def test_no_volumes_at_all() -> None:
    assert odd_spans({}, START, END) == []


def test_a_silence_that_is_told_again_after_quiet_hours_is_one_span() -> None:
    # Of a young source, busy by day: what is missing is told by day, not by night, by day again.
    rng = np.random.default_rng(3)
    hours = [START + n * HOUR for n in range(-2 * 24, 6)]
    counts = rng.poisson([20.0 if 8 <= hour.hour < 18 else 0.3 for hour in hours])
    volumes = {hour: int(count) for hour, count in zip(hours, counts, strict=True) if count}
    (span,) = odd_spans(volumes, START, START + 2 * DAY)
    assert (span.kind, span.end) == ("silence", START + 2 * DAY)
