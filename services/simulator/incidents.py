"""What goes wrong on the last day: each incident changes requests, adds some, or takes all away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from numpy.random import Generator

from services.simulator.workflows import Step, read, write

Change = Callable[[Generator], list[Step]]


@dataclass(frozen=True, slots=True)
class Incident:
    """`request` is what an affected request looks like; None where requests fail to come.

    starts: after midnight of the last day. requests: how many are affected.
    """

    kind: str
    description: str
    starts: timedelta
    lasts: timedelta
    requests: int
    request: Change | None


def _new_error(rng: Generator) -> list[Step]:
    steps = write(rng)
    return [
        *steps[:4],
        Step(0.2, "ERROR", "store.Writer", f"disk /dev/sd{'abcd'[rng.integers(4)]} reports "
             f"uncorrectable sector {rng.integers(10**9)}"),
        Step(0.1, "ERROR", "front.Api", "reply 507 Insufficient Storage"),
    ]  # fmt: skip


def _missing_steps(rng: Generator) -> list[Step]:
    return [step for step in write(rng) if "acked" not in step.message]


def _wrong_order(rng: Generator) -> list[Step]:
    steps = write(rng)
    committed = next(n for n, step in enumerate(steps) if step.message.startswith("committed"))
    return [*steps[:2], steps[committed], *steps[2:committed], *steps[committed + 1 :]]


def _burst(rng: Generator) -> list[Step]:
    steps = read(rng)
    return [*steps[:-1], *(steps[2:3] * int(rng.integers(40, 80))), steps[-1]]


INCIDENTS = (
    Incident(
        "new error",
        "a disk fails: writes end with an error never seen before",
        timedelta(hours=2, minutes=14),
        timedelta(minutes=20),
        12,
        _new_error,
    ),
    Incident(
        "missing steps",
        "a bug commits writes without waiting for the replicas",
        timedelta(hours=5, minutes=40),
        timedelta(minutes=45),
        15,
        _missing_steps,
    ),
    Incident(
        "wrong order",
        "a race commits the index before the data are sent",
        timedelta(hours=9, minutes=5),
        timedelta(minutes=30),
        10,
        _wrong_order,
    ),
    Incident(
        "burst",
        "a client streams the same part over and over",
        timedelta(hours=13, minutes=20),
        timedelta(minutes=15),
        8,
        _burst,
    ),
    Incident(
        "silence",
        "no request arrives for an hour of the day that is always busy",
        timedelta(hours=16),
        timedelta(hours=1),
        0,
        None,
    ),
)
