"""The days: requests in the rhythm of day and night, written as hourly files."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator

from services.simulator.incidents import INCIDENTS, Incident
from services.simulator.upkeep import UPKEEP
from services.simulator.workflows import REQUESTS, Step, Workflow

GARBAGE_SHARE = 0.0002
# Requests by day and by night differ from their mean by this much of it.
SWING = 2 / 3
# Instances of each component, as the header names them.
INSTANCES = 4
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Record:
    """One log record, to be written at its time."""

    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class InjectedIncident:
    """An incident as it happened, with the keys of the sessions that it touched."""

    name: str
    kind: str
    description: str
    starts_at: datetime
    ends_at: datetime
    sessions: list[str]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was written: files below `folder`, their number of lines, and the truth."""

    folder: Path
    files: list[Path]
    lines: int
    incidents: list[InjectedIncident]


def simulate(
    folder: Path, first_day: date, days: int = 5, seed: int = 7, requests_per_hour: float = 90
) -> Simulation:
    """Write `days` days of logs as `storage/<day>/<hour>.log.gz`, `labels.csv` and
    `incidents.json`.

    The incidents are on the last day, which ends the logs: what goes on then is cut.
    requests_per_hour: the mean over a day. The same arguments give the same bytes.
    """
    rng = np.random.default_rng(seed)
    first = datetime.combine(first_day, time.min, UTC)
    end = first + days * DAY
    silent = [
        (end - DAY + incident.starts, end - DAY + incident.starts + incident.lasts)
        for incident in INCIDENTS
        if incident.request is None
    ]
    records: list[Record] = []
    for hour in range(days * 24):
        records += _usual_hour(rng, first + hour * HOUR, requests_per_hour, silent)
    injected = [_inject(rng, incident, end - DAY, records) for incident in INCIDENTS]
    files, lines = _write_files(rng, folder, [each for each in records if each.time < end])
    _write_truth(folder, injected)
    return Simulation(folder, files, lines, injected)


def rhythm(moment: datetime) -> float:
    """Requests at this time of the day over their mean: least at three at night, most at three
    in the afternoon."""
    phase = math.cos((moment.hour + moment.minute / 60 - 15) / 24 * 2 * math.pi)
    return 1 + SWING * phase


def _usual_hour(
    rng: Generator, start: datetime, requests_per_hour: float, silent: Sequence[Span]
) -> list[Record]:
    records = []
    for workflow in _begun(rng, requests_per_hour * rhythm(start)):
        told = _told(start + HOUR * rng.random(), _session(rng), workflow(rng))
        # A request that the silence would cut never came at all.
        if not any(told[0].time < end and told[-1].time >= begin for begin, end in silent):
            records += told
    return records


def _begun(rng: Generator, requests: float) -> Iterator[Workflow]:
    """What starts in one hour, in which so many requests are to be expected."""
    weights = np.array([weight for _, weight in REQUESTS])
    for which in rng.choice(len(REQUESTS), rng.poisson(requests), p=weights / weights.sum()):
        yield REQUESTS[which][0]
    for workflow, per_hour in UPKEEP:
        for _ in range(rng.poisson(per_hour)):
            yield workflow


def _inject(
    rng: Generator, incident: Incident, day: datetime, records: list[Record]
) -> InjectedIncident:
    begin = day + incident.starts
    sessions = []
    if incident.request:
        for number in range(incident.requests):
            session = _session(rng)
            sessions.append(session)
            moment = begin + incident.lasts * (number / incident.requests)
            records += _told(moment, session, incident.request(rng))
    return InjectedIncident(
        incident.name,
        incident.kind,
        incident.description,
        begin,
        begin + incident.lasts,
        sessions,
    )


def _session(rng: Generator) -> str:
    return f"{rng.integers(2**32):08x}"


def _told(moment: datetime, session: str, steps: list[Step]) -> list[Record]:
    records = []
    instance = int(session, 16) % INSTANCES + 1
    for step in steps:
        moment += timedelta(seconds=step.after_s)
        stamp = f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d}"
        thread = f"[{step.component.split('.')[0]}-{instance}]"
        text = f"{stamp} {step.severity:<5} {thread} {step.component}: req={session} {step.message}"
        records.append(Record(moment, text))
    return records


def _write_files(rng: Generator, folder: Path, records: list[Record]) -> tuple[list[Path], int]:
    by_hour: dict[datetime, list[str]] = {}
    # Stable: records of one session at the same microsecond stay in the order of its steps.
    for record in sorted(records, key=lambda record: record.time):
        hour = record.time.replace(minute=0, second=0, microsecond=0)
        texts = by_hour.setdefault(hour, [])
        if rng.random() < GARBAGE_SHARE:
            texts.append("".join(chr(code) for code in rng.integers(33, 127, size=40)))
        texts.append(record.text)
    files, lines = [], 0
    for hour, texts in by_hour.items():
        path = folder / "storage" / f"{hour:%Y-%m-%d}" / f"{hour:%H}.log.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = "".join(f"{text}\n" for text in texts).encode()
        path.write_bytes(gzip.compress(data, compresslevel=6, mtime=0))
        files.append(path)
        lines += data.count(b"\n")
    return files, lines


def _write_truth(folder: Path, incidents: list[InjectedIncident]) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session_key", "label", "incident"])
        for incident in incidents:
            writer.writerows([session, "anomalous", incident.name] for session in incident.sessions)
    document = [
        {
            "name": incident.name,
            "kind": incident.kind,
            "description": incident.description,
            "starts_at": incident.starts_at.isoformat(),
            "ends_at": incident.ends_at.isoformat(),
            "sessions": incident.sessions,
        }
        for incident in incidents
    ]
    (folder / "incidents.json").write_text(json.dumps(document, indent=1))
