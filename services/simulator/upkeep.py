"""What the storage service does of its own accord, by day and by night."""

from __future__ import annotations

from numpy.random import Generator

from services.simulator.workflows import Step, Workflow, chunk_path, error, info, node, pause, warn

RACKS = 4
BEATS = 5


def repair(rng: Generator) -> list[Step]:
    """A copy that fell behind is made anew."""
    lost, fresh, size = node(rng), node(rng), rng.integers(10**8)
    return [
        warn(0, "repair.Planner", f"copy on {lost} is out of date, planning a new one"),
        info(pause(rng, 5), "repair.Planner", f"chosen {fresh} as target"),
        info(pause(rng, 30), "repair.Worker", f"copied {size} bytes to {fresh}"),
        info(pause(rng, 1), "meta.Index", f"replaced {lost} by {fresh}"),
    ]


def scrub(rng: Generator) -> list[Step]:
    """All checksums of a node, part by part: ten to thirty minutes, so hours and days cut it."""
    worker, where = "scrub.Worker", node(rng)
    steps = [info(0, worker, f"scrub of {where} started")]
    for part in range(1, int(rng.integers(6, 11))):
        took = 60 + pause(rng, 80)
        steps.append(info(took, worker, f"part {part} verified in {took:.1f} s"))
        if rng.random() < 0.02:
            steps += [
                warn(pause(rng, 1), worker, f"bad checksum of {chunk_path(rng)}"),
                info(pause(rng, 4), worker, f"rewrote {chunk_path(rng)} from a good copy"),
            ]
    total = sum(step.after_s for step in steps)
    return [*steps, info(pause(rng, 5), worker, f"scrub of {where} done in {total:.0f} s")]


def heartbeats(rng: Generator) -> list[Step]:
    """A round of the monitor over one rack: a line every five minutes or so."""
    rack = rng.integers(RACKS)
    steps = [info(0, "monitor.Round", f"watching rack {rack}")]
    for _ in range(BEATS):
        load, chunks = rng.gamma(4, 0.3), rng.integers(4 * 10**5, 6 * 10**5)
        beat = f"heartbeat from {node(rng)}: load {load:.2f}, {chunks} chunks"
        steps.append(info(290 + pause(rng, 2), "monitor.Round", beat))
        if rng.random() < 0.01:
            late = f"next heartbeat is {rng.integers(300, 2000)} ms late"
            steps.append(warn(pause(rng, 2), "monitor.Round", late))
    return [*steps, info(1, "monitor.Round", f"rack {rack} is alive, {BEATS} beats")]


def failed_repair(rng: Generator) -> list[Step]:
    """The target was away for a moment: a stack trace, and the planner chooses it again."""
    steps = repair(rng)
    gone = error(
        pause(rng, 10),
        "repair.Worker",
        f"target {node(rng)} went away at {rng.integers(1, 99)} percent\n"
        "TransferAbortedError: stream ended early\n"
        "    at repair.Stream.copy(Stream:164)\n"
        "    at repair.Worker.run(Worker:52)",
    )
    return [*steps[:2], gone, *steps[1:]]


# How many an hour start, whatever the time of the day.
UPKEEP: list[tuple[Workflow, float]] = [
    (repair, 2),
    (failed_repair, 0.15),
    (scrub, 1),
    (heartbeats, 2 * RACKS),
]
