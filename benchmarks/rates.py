"""How rates are judged: false flags, planted faults and level shifts, on simulated series.

    python -m benchmarks.rates [--series N] [--seed N]

Each series is hourly counts of `DAYS` days, negative binomial around a mean that is the product of
a volume (20 to 2,000 events an hour, log-uniform), a season of the day (a wave that makes the
busiest hour 2 to 10 times the quietest) and of the week (Saturdays and Sundays at 0.3 to 1 of a
working day); the dispersion, variance = mean + dispersion x mean^2, is 0.005 to 0.05, log-uniform.
The first `LEARNT` days are history; from a random hour of the week after it on, `AFTER` days count.

- false flags per series and day, where nothing is planted;
- spike (x5 for 2 h), drop (to a tenth for 3 h), silence (6 h), slow silence (12 h of a source of
  `SLOW` events an hour): the share that is told while it lasts, and the hours before it is;
- shift (x2, x3, to a third, for good): the share that is told within a day, how many hours alarm,
  and which is the last that does.

Ours is `ml.rates`; beside it z-scores (mean and standard deviation) and Poisson bands (mean), both
of the same hour of the fourteen days before, at the same probability.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, poisson

from benchmarks.report import finish, table
from ml.rates import DAY, HOUR, MEMORY, THRESHOLD, odd_spans

START = datetime(2026, 3, 2, tzinfo=UTC)
LEARNT = MEMORY // DAY
AFTER = 14
DAYS = LEARNT + 7 + AFTER
DAYS_BEFORE = np.arange(1, 15) * DAY
PROBABILITY = 10**-THRESHOLD
SLOW = 6.0
# What is planted: the factor and for how many hours.
FAULTS = {"spike": (5.0, 2), "drop": (0.1, 3), "silence": (0.0, 6), "slow silence": (0.0, 12)}
SHIFTS = {"shift x2": 2.0, "shift x3": 3.0, "shift to 1/3": 1 / 3}

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def simulated(
    rng: np.random.Generator, since: int, hours: int, factor: float, volume: float | None
) -> Counts:
    """Counts of `DAYS` days, with the mean of these hours multiplied by the factor."""
    hour = np.arange(DAYS * DAY)
    drawn = np.exp(rng.uniform(np.log(20), np.log(2000)))
    height = np.log(rng.uniform(2, 10)) / 2
    of_day = np.exp(height * np.cos(2 * np.pi * (hour - rng.integers(DAY)) / DAY))
    of_week = np.where(hour // DAY % 7 >= 5, rng.uniform(0.3, 1), 1.0)
    dispersion = np.exp(rng.uniform(np.log(0.005), np.log(0.05)))
    mean = (volume or drawn) * of_day * of_week * rng.gamma(1 / dispersion, dispersion, len(hour))
    mean[since : since + hours] *= factor
    return rng.poisson(mean)


def ours(counts: Counts) -> Flags:
    """Which of the hours after the history are flagged, as all methods here: each hour is judged
    when it is over, since a span of silence begins before it is told."""
    volumes = {START + n * HOUR: int(count) for n, count in enumerate(counts)}
    hours = [START + n * HOUR for n in range(MEMORY, len(counts))]
    return np.array([bool(odd_spans(volumes, hour, hour + HOUR)) for hour in hours])


def z_scores(counts: Counts) -> Flags:
    before = _before(counts)
    deviation = np.maximum(before.std(axis=0, ddof=1), 1e-9)
    return np.abs(counts[MEMORY:] - before.mean(axis=0)) / deviation > norm.isf(PROBABILITY)


def poisson_bands(counts: Counts) -> Flags:
    mean, found = _before(counts).mean(axis=0), counts[MEMORY:]
    tails = poisson.cdf(found, mean), poisson.sf(found - 1, mean)
    flags: Flags = np.minimum(*tails) < PROBABILITY
    return flags


def _before(counts: Counts) -> Counts:
    return counts[np.arange(MEMORY, len(counts)) - DAYS_BEFORE[:, None]]


METHODS: dict[str, Callable[[Counts], Flags]] = {
    "ours": ours,
    "z-scores": z_scores,
    "Poisson": poisson_bands,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--series", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{options.series} series of {DAYS} days, {LEARNT} of them learnt, seed {options.seed}")
    figures = measured(options.series, options.seed)
    table(list(METHODS), figures)
    finish({"series": options.series, "days": AFTER, "seed": options.seed, **figures})


def measured(series: int, seed: int) -> dict[str, dict[str, float]]:
    """Each figure by method."""
    rows: dict[str, dict[str, float]] = {}

    def add(name: str, of_flags: Callable[[Flags], float], flags: dict[str, Flags]) -> None:
        rows[name] = {method: of_flags(each) for method, each in flags.items()}

    add("false flags per series and day", _per_day, flagged(series, seed))
    for name, (factor, hours) in FAULTS.items():
        volume = SLOW if name == "slow silence" else None
        flags = flagged(series, seed, factor, hours, volume)
        flags = {method: each[:, :hours] for method, each in flags.items()}
        add(f"{name}: recall", _recall, flags)
        add(f"{name}: hours until told", _delay, flags)
    for name, factor in SHIFTS.items():
        flags = flagged(series, seed, factor, DAYS * DAY)
        add(f"{name}: told in a day", lambda each: _recall(each[:, :DAY]), flags)
        add(f"{name}: hours that alarm, mean", lambda each: float(each.sum(axis=1).mean()), flags)
        add(f"{name}: hours that alarm, most", lambda each: int(each.sum(axis=1).max()), flags)
        add(f"{name}: last alarm, median hour", _last, flags)
    return rows


def flagged(
    series: int, seed: int, factor: float = 1.0, hours: int = 0, volume: float | None = None
) -> dict[str, Flags]:
    """By method, the flags of the `AFTER` days since the fault, shape (series, hours)."""
    flags: dict[str, list[Flags]] = {method: [] for method in METHODS}
    for number in range(series):
        rng = np.random.default_rng([seed, number])
        since = int(rng.integers(7 * DAY))
        counts = simulated(rng, MEMORY + since, hours, factor, volume)
        for method, judge in METHODS.items():
            flags[method].append(judge(counts)[since : since + AFTER * DAY])
    return {method: np.array(each) for method, each in flags.items()}


def _per_day(flags: Flags) -> float:
    return float(flags.mean() * DAY)


def _recall(flags: Flags) -> float:
    return float(flags.any(axis=1).mean())


def _delay(flags: Flags) -> float:
    """Hours before the first flag, where there is one."""
    return float(flags[flags.any(axis=1)].argmax(axis=1).mean())


def _last(flags: Flags) -> float:
    """Hours up to the last flag, where there is one."""
    told = flags[flags.any(axis=1)]
    return float(np.median(told.shape[1] - told[:, ::-1].argmax(axis=1)))


if __name__ == "__main__":
    main()
