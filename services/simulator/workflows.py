"""What the storage service does for its clients: each request is a short story in log lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

USERS = ["anna", "bilal", "chen", "dara", "emil", "fatou", "goran", "hana", "ivo", "jun"]
BUCKETS = ["photos", "invoices", "backups", "models", "telemetry", "mail"]
REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One log record: `after_s` seconds after the one before. A message may span lines."""

    after_s: float
    severity: str
    component: str
    message: str


Workflow = Callable[[Generator], list[Step]]


def info(after_s: float, component: str, message: str) -> Step:
    return Step(after_s, "INFO", component, message)


def warn(after_s: float, component: str, message: str) -> Step:
    return Step(after_s, "WARN", component, message)


def error(after_s: float, component: str, message: str) -> Step:
    return Step(after_s, "ERROR", component, message)


def pause(rng: Generator, mean_s: float) -> float:
    return float(rng.exponential(mean_s))


def node(rng: Generator) -> str:
    return f"10.4.{rng.integers(4)}.{rng.integers(10, 60)}:7400"


def chunk_path(rng: Generator) -> str:
    number = f"{rng.integers(16**8):08x}"
    return f"/srv/chunks/{number[:2]}/{number}.chk"


def write(rng: Generator) -> list[Step]:
    size = int(rng.lognormal(12, 1.5))
    nodes = [node(rng) for _ in range(REPLICAS)]
    steps = [
        _asked(rng, "PUT"),
        info(pause(rng, 0.01), "meta.Index", f"allocated chunk {rng.integers(10**9)}"),
        *(
            info(pause(rng, 0.02), "store.Writer", f"sending {size} bytes to {each}")
            for each in nodes
        ),
    ]
    if rng.random() < 0.04:
        steps.append(warn(pause(rng, 0.5), "store.Writer", f"slow ack from {nodes[0]}, waiting"))
    for each in nodes:
        took = int(rng.gamma(4, 12))
        steps.append(
            info(pause(rng, 0.05), "store.Writer", f"replica on {each} acked in {took} ms")
        )
    return [
        *steps,
        info(pause(rng, 0.01), "meta.Index", f"committed {size} bytes in {REPLICAS} copies"),
        _replied(rng, "201 Created"),
    ]


def read(rng: Generator) -> list[Step]:
    steps = [_asked(rng, "GET"), _looked_up(rng)]
    for part in range(int(rng.integers(1, 4))):
        if rng.random() < 0.015:
            steps += timed_out(rng, part)
        steps.append(streamed(rng))
    return [*steps, _replied(rng, "200 OK")]


def cached_read(rng: Generator) -> list[Step]:
    size, age_s = rng.integers(10**3, 10**6), rng.integers(1, 900)
    return [
        _asked(rng, "GET"),
        info(pause(rng, 0.001), "front.Cache", f"served {size} bytes from memory, {age_s} s old"),
        _replied(rng, "200 OK"),
    ]


def listing(rng: Generator) -> list[Step]:
    entries = rng.integers(1, 2000)
    steps = [_asked(rng, "LIST", f"2026-{rng.integers(1, 13):02d}/")]
    for page in range(1, int(entries) // 1000 + 2):
        took = int(rng.gamma(3, 6))
        steps.append(info(pause(rng, 0.02), "meta.Index", f"scanned page {page} in {took} ms"))
    return [
        *steps,
        info(pause(rng, 0.01), "meta.Index", f"listed {entries} entries"),
        _replied(rng, "200 OK"),
    ]


def missing_object(rng: Generator) -> list[Step]:
    return [
        _asked(rng, "GET"),
        info(pause(rng, 0.005), "meta.Index", "lookup miss"),
        _replied(rng, "404 Not Found"),
    ]


def delete(rng: Generator) -> list[Step]:
    return [
        _asked(rng, "DELETE"),
        info(pause(rng, 0.01), "meta.Index", "entry marked as deleted"),
        _replied(rng, "204 No Content"),
        *(
            info(pause(rng, 20), "store.Cleaner", f"removed {chunk_path(rng)} on {node(rng)}")
            for _ in range(REPLICAS)
        ),
        info(pause(rng, 1), "meta.Index", f"freed {rng.integers(10**4, 10**8)} bytes"),
    ]


def refused_write(rng: Generator) -> list[Step]:
    """A client over its quota: a warning that tells operators nothing new."""
    used = rng.integers(95, 101)
    return [
        _asked(rng, "PUT"),
        warn(pause(rng, 0.005), "front.Quota", f"quota used to {used} percent, write refused"),
        _replied(rng, "413 Too Large"),
    ]


def contended_delete(rng: Generator) -> list[Step]:
    """Two clients at one entry: a stack trace, and all is well on the second attempt."""
    steps = delete(rng)
    waited = rng.integers(2000, 2100)
    clash = error(
        pause(rng, 0.01) + 2,
        "meta.Locks",
        f"no lock after {waited} ms, trying once more\n"
        "LockTimeoutError: entry is held by another request\n"
        "    at meta.Locks.acquire(Locks:203)\n"
        "    at meta.Index.mark(Index:341)\n"
        "Caused by: WaitExpiredError\n"
        "    at meta.Queue.wait(Queue:58)\n"
        "    ... 2 more",
    )
    return [steps[0], clash, *steps[1:]]


def broken_client(rng: Generator) -> list[Step]:
    """A client that hangs up: a stack trace that operators know and live with."""
    port = int(rng.integers(30_000, 60_000))
    return [
        _asked(rng, "GET"),
        _looked_up(rng),
        error(
            pause(rng, 0.5),
            "front.Api",
            f"client port {port} closed the connection\n"
            "ClosedChannelError: write on closed channel\n"
            "    at front.Channel.flush(Channel:118)\n"
            "    at front.Api.reply(Api:77)",
        ),
    ]


def streamed(rng: Generator) -> Step:
    size = rng.integers(10**4, 10**7)
    return info(pause(rng, 0.03), "store.Reader", f"streamed {size} bytes from {node(rng)}")


def timed_out(rng: Generator, part: int) -> list[Step]:
    """A part that has to be asked for again."""
    waited = rng.integers(5000, 5200)
    return [
        warn(5, "store.Reader", f"part {part} timed out after {waited} ms on {node(rng)}"),
        info(pause(rng, 0.2), "store.Reader", f"retrying part {part} on {node(rng)}"),
    ]


def _asked(rng: Generator, verb: str, name: str = "") -> Step:
    bucket, user = BUCKETS[rng.integers(len(BUCKETS))], USERS[rng.integers(len(USERS))]
    path = f"{bucket}/{name or _object(rng)}"
    return info(0, "front.Api", f"{verb} {path} by user {user} from {node(rng)}")


def _object(rng: Generator) -> str:
    return f"{rng.integers(16**6):06x}.bin"


def _looked_up(rng: Generator) -> Step:
    probes = rng.integers(1, 9)
    return info(pause(rng, 0.005), "meta.Index", f"lookup hit after {probes} probes")


def _replied(rng: Generator, status: str) -> Step:
    return info(pause(rng, 0.01), "front.Api", f"reply {status}")


# How often each is asked for, of a hundred requests.
REQUESTS: list[tuple[Workflow, float]] = [
    (write, 32),
    (read, 39),
    (cached_read, 6),
    (listing, 4),
    (missing_object, 6),
    (delete, 7),
    (refused_write, 1.5),
    (contended_delete, 0.5),
    (broken_client, 2),
]
