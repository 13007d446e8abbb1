"""What goes wrong on the last day: each incident adds requests that went wrong, or takes all
away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from numpy.random import Generator

from services.simulator.workflows import Step, Workflow, error, read, streamed, timed_out, write


@dataclass(frozen=True, slots=True)
class Incident:
    """`request` is what an affected request looks like; None where requests fail to come.

    starts: after midnight of the last day. requests: how many are affected.
    """

    name: str
    kind: str
    description: str
    starts: timedelta
    lasts: timedelta
    requests: int
    request: Workflow | None


def _on_a_failing_disk(rng: Generator) -> list[Step]:
    disk, sector = "abcd"[rng.integers(4)], rng.integers(10**9)
    return [
        *write(rng)[:4],
        error(
            0.2,
            "store.Writer",
            f"disk /dev/sd{disk} reports uncorrectable sector {sector}\n"
            "DeviceFaultError: medium will not take writes\n"
            "    at store.Disk.append(Disk:91)\n"
            "    at store.Writer.flush(Writer:140)",
        ),
        error(0.1, "front.Api", "reply 507 Insufficient Storage"),
    ]


def _without_acks(rng: Generator) -> list[Step]:
    return [step for step in write(rng) if "acked" not in step.message]


def _committed_early(rng: Generator) -> list[Step]:
    steps = write(rng)
    committed = next(n for n, step in enumerate(steps) if step.message.startswith("committed"))
    return [*steps[:2], steps[committed], *steps[2:committed], *steps[committed + 1 :]]


def _in_a_storm(rng: Generator) -> list[Step]:
    steps = read(rng)
    retries = [step for _ in range(int(rng.integers(20, 50))) for step in timed_out(rng, 0)]
    return [*steps[:2], *retries, streamed(rng), steps[-1]]


INCIDENTS = (
    Incident(
        "failing disk",
        "new error",
        "a disk fails: writes end with an error never seen before",
        timedelta(hours=2, minutes=14),
        timedelta(minutes=20),
        12,
        _on_a_failing_disk,
    ),
    Incident(
        "unawaited replicas",
        "missing steps",
        "a bug commits writes without waiting for the replicas",
        timedelta(hours=5, minutes=40),
        timedelta(minutes=45),
        15,
        _without_acks,
    ),
    Incident(
        "early commit",
        "wrong order",
        "a race commits the index before the data are sent",
        timedelta(hours=9, minutes=5),
        timedelta(minutes=30),
        10,
        _committed_early,
    ),
    Incident(
        "retry storm",
        "burst",
        "a rack answers too late: a crowd of reads, each asking again and again",
        timedelta(hours=13, minutes=20),
        timedelta(minutes=5),
        24,
        _in_a_storm,
    ),
    Incident(
        "dead front door",
        "silence",
        "nothing is logged for an hour of the day that is always busy",
        timedelta(hours=16),
        timedelta(hours=1),
        0,
        None,
    ),
)
