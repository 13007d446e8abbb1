"""What the storage service does: each request is a short story told in log lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

USERS = ["anna", "bilal", "chen", "dara", "emil", "fatou", "goran", "hana", "ivo", "jun"]
BUCKETS = ["photos", "invoices", "backups", "models", "telemetry", "mail"]
REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One log line: `after_s` seconds after the one before. A message may span lines."""

    after_s: float
    severity: str
    component: str
    message: str


Workflow = Callable[[Generator], list[Step]]


def _pause(rng: Generator, mean_s: float) -> float:
    return float(rng.exponential(mean_s))


def _object(rng: Generator) -> str:
    return f"{BUCKETS[rng.integers(len(BUCKETS))]}/{rng.integers(16**6):06x}.bin"


def _node(rng: Generator) -> str:
    return f"10.4.{rng.integers(4)}.{rng.integers(10, 60)}:7400"


def _user(rng: Generator) -> str:
    return USERS[rng.integers(len(USERS))]


def write(rng: Generator) -> list[Step]:
    size = int(rng.lognormal(12, 1.5))
    nodes = [_node(rng) for _ in range(REPLICAS)]
    steps = [
        Step(0, "INFO", "front.Api", f"PUT {_object(rng)} by user {_user(rng)} from {_node(rng)}"),
        Step(_pause(rng, 0.01), "INFO", "meta.Index", f"allocated chunk {rng.integers(10**9)}"),
    ]
    for node in nodes:
        steps.append(
            Step(_pause(rng, 0.02), "INFO", "store.Writer", f"sending {size} bytes to {node}")
        )
    if rng.random() < 0.04:
        steps.append(
            Step(_pause(rng, 0.5), "WARN", "store.Writer", f"slow ack from {nodes[0]}, waiting")
        )
    for node in nodes:
        took = int(rng.gamma(4, 12))
        steps.append(
            Step(_pause(rng, 0.05), "INFO", "store.Writer", f"replica on {node} acked in {took} ms")
        )
    steps.append(
        Step(
            _pause(rng, 0.01), "INFO", "meta.Index", f"committed {size} bytes in {REPLICAS} copies"
        )
    )
    steps.append(Step(_pause(rng, 0.01), "INFO", "front.Api", "reply 201 Created"))
    return steps


def read(rng: Generator) -> list[Step]:
    steps = [
        Step(0, "INFO", "front.Api", f"GET {_object(rng)} by user {_user(rng)} from {_node(rng)}"),
        Step(
            _pause(rng, 0.005),
            "INFO",
            "meta.Index",
            f"lookup hit after {rng.integers(1, 9)} probes",
        ),
    ]
    for _ in range(int(rng.integers(1, 4))):
        steps.append(
            Step(
                _pause(rng, 0.03),
                "INFO",
                "store.Reader",
                f"streamed {rng.integers(10**4, 10**7)} bytes from {_node(rng)}",
            )
        )
    steps.append(Step(_pause(rng, 0.01), "INFO", "front.Api", "reply 200 OK"))
    return steps


def missing_object(rng: Generator) -> list[Step]:
    return [
        Step(0, "INFO", "front.Api", f"GET {_object(rng)} by user {_user(rng)} from {_node(rng)}"),
        Step(_pause(rng, 0.005), "INFO", "meta.Index", "lookup miss"),
        Step(_pause(rng, 0.005), "INFO", "front.Api", "reply 404 Not Found"),
    ]


def delete(rng: Generator) -> list[Step]:
    steps = [
        Step(0, "INFO", "front.Api", f"DELETE {_object(rng)} by user {_user(rng)}"),
        Step(_pause(rng, 0.01), "INFO", "meta.Index", "entry marked as deleted"),
    ]
    for _ in range(REPLICAS):
        steps.append(
            Step(_pause(rng, 20), "INFO", "store.Cleaner", f"removed copy on {_node(rng)}")
        )
    steps.append(
        Step(_pause(rng, 1), "INFO", "meta.Index", f"freed {rng.integers(10**4, 10**8)} bytes")
    )
    return steps


def repair(rng: Generator) -> list[Step]:
    lost, fresh = _node(rng), _node(rng)
    return [
        Step(0, "WARN", "repair.Planner", f"copy on {lost} is out of date, planning a new one"),
        Step(_pause(rng, 5), "INFO", "repair.Planner", f"chosen {fresh} as target"),
        Step(
            _pause(rng, 30),
            "INFO",
            "repair.Worker",
            f"copied {rng.integers(10**8)} bytes to {fresh}",
        ),
        Step(_pause(rng, 1), "INFO", "meta.Index", f"replaced {lost} by {fresh}"),
    ]


def scrub(rng: Generator) -> list[Step]:
    node = _node(rng)
    steps = [Step(0, "INFO", "scrub.Worker", f"scrub of {node} started")]
    for part in range(1, 5):
        steps.append(
            Step(_pause(rng, 60), "INFO", "scrub.Worker", f"part {part} verified, 0 bad checksums")
        )
    steps.append(
        Step(
            _pause(rng, 5),
            "INFO",
            "scrub.Worker",
            f"scrub of {node} done in {rng.integers(100, 400)} s",
        )
    )
    return steps


def broken_client(rng: Generator) -> list[Step]:
    """A client that hangs up: a stack trace that operators know and live with."""
    port = int(rng.integers(30_000, 60_000))
    return [
        Step(0, "INFO", "front.Api", f"GET {_object(rng)} by user {_user(rng)} from {_node(rng)}"),
        Step(
            _pause(rng, 0.005),
            "INFO",
            "meta.Index",
            f"lookup hit after {rng.integers(1, 9)} probes",
        ),
        Step(
            _pause(rng, 0.5),
            "ERROR",
            "front.Api",
            f"client port {port} closed the connection\n"
            "ClosedChannelError: write on closed channel\n"
            "    at front.Channel.flush(Channel:118)\n"
            "    at front.Api.reply(Api:77)",
        ),
    ]


# How often each happens, of a hundred requests.
USUAL: list[tuple[Workflow, float]] = [
    (write, 34),
    (read, 48),
    (missing_object, 6),
    (delete, 7),
    (repair, 2),
    (scrub, 1),
    (broken_client, 2),
]
