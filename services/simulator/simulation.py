"""The days: requests in the rhythm of day and night, written as hourly files."""

from __future__ import annotations

import csv
import gzip
import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator

from services.simulator.incidents import INCIDENTS, Incident
from services.simulator.workflows import USUAL, Step

# Requests an hour in the middle of the night and of the day.
QUIET, BUSY = 30, 150
GARBAGE_SHARE = 0.0002
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Record:
    """One log record, to be written at its time."""

    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class InjectedIncident:
    """An incident as it happened, with the sessions that it touched."""

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


def simulate(folder: Path, first_day: date, days: int = 5, seed: int = 7) -> Simulation:
    """Write `days` days of logs as `storage/<day>/<hour>.log.gz`, `labels.csv` and
    `incidents.json`.

    The incidents are on the last day. The same arguments give the same bytes.
    """
    rng = np.random.default_rng(seed)
    last = datetime.combine(first_day + (days - 1) * DAY, time.min, UTC)
    silent = [
        (last + incident.starts, last + incident.starts + incident.lasts)
        for incident in INCIDENTS
        if incident.request is None
    ]
    records: list[Record] = []
    for hour in range(days * 24):
        start = datetime.combine(first_day, time.min, UTC) + hour * HOUR
        records += _usual_hour(rng, start, silent)
    injected = [_inject(rng, incident, last, records) for incident in INCIDENTS]
    records = [r for r in records if not any(begin <= r.time < end for begin, end in silent)]
    _write_truth(folder, injected)
    files, lines = _write_files(rng, folder, records)
    return Simulation(folder, files, lines, injected)


def rate(moment: datetime) -> float:
    """Requests an hour: least at three at night, most at three in the afternoon."""
    phase = math.cos((moment.hour + moment.minute / 60 - 15) / 24 * 2 * math.pi)
    return QUIET + (BUSY - QUIET) * (phase + 1) / 2


def _usual_hour(
    rng: Generator, start: datetime, silent: list[tuple[datetime, datetime]]
) -> list[Record]:
    weights = np.array([weight for _, weight in USUAL])
    records = []
    for _ in range(rng.poisson(rate(start))):
        workflow = USUAL[rng.choice(len(USUAL), p=weights / weights.sum())][0]
        begins = start + HOUR * rng.random()
        told = _told(begins, _session(rng), workflow(rng))
        # A request that the silence would cut never came at all.
        if not any(told[0].time < end and told[-1].time >= begin for begin, end in silent):
            records += told
    return records


def _inject(
    rng: Generator, incident: Incident, day: datetime, records: list[Record]
) -> InjectedIncident:
    begin = day + incident.starts
    sessions = []
    for number in range(incident.requests if incident.request else 0):
        session = _session(rng)
        sessions.append(session)
        moment = begin + incident.lasts * (number / incident.requests)
        records += _told(moment, session, incident.request(rng))  # type: ignore[misc]
    return InjectedIncident(
        incident.kind, incident.description, begin, begin + incident.lasts, sessions
    )


def _session(rng: Generator) -> str:
    return f"{rng.integers(2**32):08x}"


def _told(moment: datetime, session: str, steps: list[Step]) -> list[Record]:
    records = []
    for step in steps:
        moment += timedelta(seconds=step.after_s)
        stamp = f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d}"
        text = f"{stamp} {step.severity:<5} {step.component}: req={session} {step.message}"
        records.append(Record(moment, text))
    return records


def _write_files(rng: Generator, folder: Path, records: list[Record]) -> tuple[list[Path], int]:
    by_hour: dict[datetime, list[str]] = {}
    for record in sorted(records, key=lambda record: (record.time, record.text)):
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
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session_key", "label", "incident"])
        for incident in incidents:
            writer.writerows([session, "anomalous", incident.kind] for session in incident.sessions)
    document = [
        {
            "kind": incident.kind,
            "description": incident.description,
            "starts_at": incident.starts_at.isoformat(),
            "ends_at": incident.ends_at.isoformat(),
            "sessions": incident.sessions,
        }
        for incident in incidents
    ]
    (folder / "incidents.json").write_text(json.dumps(document, indent=1))
