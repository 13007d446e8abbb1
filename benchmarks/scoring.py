"""From the lake to committed rows: how fast nights are scored, and how anomalies are written.

    python -m benchmarks.scoring [--families a,b] [--copies 4,16] [--rows 100000]
        [--rows-by-orm 5000]

Scoring. HDFS_2pct is ingested, and the whole of it is scored as one night by each family, trained
on it with its defaults: Parquet read, windows cut, judged, explained, committed. Then `novelty`
scores the night with copies of the log added, each with block ids and so sessions of its own. Each
scoring has a process of its own, whose largest resident set is told: that should not grow with the
copies, nor should the time per event.

Writing. The same anomalies by COPY and one upsert (`replace_interval`), and by the ORM, one object
and INSERT at a time. Rows per second are compared, since the ORM's would take minutes for all.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import os
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks.report import default_data, finish, table
from services.local import Stack

SOURCE = "hdfs"
FILE = """
name: hdfs
format: hdfs
windowing: {kind: session, key: '(blk_-?\\d+)', idle_timeout: 12h, longest_span: 48h}
"""
FIRST, LAST = datetime(2008, 11, 9, tzinfo=UTC), datetime(2008, 11, 15, tzinfo=UTC)
STORES = {"postgres", "gateway", "mlflow"}
COLUMNS = ["windows", "events", "flagged", "seconds", "windows_per_second"]
COLUMNS += ["microseconds_per_event", "peak_megabytes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument(
        "--families", default="isolation_forest,one_class_svm,ensemble,novelty", help="names"
    )
    parser.add_argument("--copies", default="4,16", help="of the log in the night, with commas")
    parser.add_argument("--rows", type=int, default=100_000, help="to write by COPY")
    parser.add_argument("--rows-by-orm", type=int, default=5_000)
    options = parser.parse_args()
    text = gzip.decompress((options.data / "hdfs" / "HDFS_2pct.log.gz").read_bytes())
    with stores():
        writing = _writing(options.rows, options.rows_by_orm)
        ingest(text, range(1))
        scored = {name: _by(name) for name in options.families.split(",")}
        crown("novelty")
        there = 1
        for copies in map(int, options.copies.split(",")):
            ingest(text, range(there, copies))
            there = copies
            scored[f"novelty, {copies} copies"] = _in_process()
    print("\nHDFS_2pct as one night, from Parquet to committed rows")
    table(COLUMNS, scored)
    print("\nAnomalies written")
    table(["rows", "seconds", "rows_per_second", "times_the_orm"], writing)
    finish({"scored": scored, "writing": writing})


@contextmanager
def stores() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="loganalyzer-") as folder:
        stack = Stack(Path(folder) / "stack")
        sources = Path(folder) / "sources"
        sources.mkdir()
        (sources / "hdfs.yaml").write_text(FILE)
        os.environ["LOGANALYZER_SOURCES_PATH"] = str(sources)
        try:
            stack.up(only=STORES)
            os.environ.update(stack.environment())
            yield
        finally:
            stack.down()


def ingest(text: bytes, copies: range) -> None:
    """Copies of the log, each an object of its own; the first is the log as it is."""
    from include.ingest import pipeline
    from include.workspace import open_workspace

    space = open_workspace()
    for copy in copies:
        own = re.sub(rb"blk_(-?)", rb"blk_\g<1>%d" % copy, text) if copy else text
        space.store.put_bytes(space.settings.bucket_logs, f"{SOURCE}/{copy}.log", own)
    batches = pipeline.discover_batches(space, SOURCE)
    staged = [pipeline.stage_batch(space, **batch) for batch in batches]
    set_aside = pipeline.validate_batches(space, staged)
    learnt = pipeline.learn_templates(space, staged)
    written = [pipeline.write_batch(space, **batch) for batch in learnt]
    pipeline.publish_batches(space, written, set_aside)


def _by(family: str) -> dict[str, Any]:
    crown(family)
    return _in_process()


def crown(family: str) -> None:
    """Train a family with its defaults on the first copy, and make it the champion."""
    from include import tracking
    from include.training import candidates, data, gate, studies
    from include.training.jobs import Request
    from include.workspace import open_workspace

    space = open_workspace()
    request = Request(
        source=SOURCE,
        start=FIRST.isoformat(),
        end=LAST.isoformat(),
        known_until=LAST.isoformat(),
        families=[family],
        trials=1,
        deadline="2100-01-01T00:00:00+00:00",
        seed=0,
        alerts_per_day=None,
        policy="never",
        note="",
        dag_run_id=f"benchmark of {family}",
        dag_run_url="",
    )
    prepared = data.prepare(space, request)
    opened = studies.open_studies(space, [prepared])
    for job in studies.trials_of(opened):
        studies.run_trial(space, job)
    judged = gate.judge(space, prepared, [candidates.fit(space, study) for study in opened])
    client = tracking.connect(space.settings)
    tracking.promote(client, SOURCE, judged["version"], "a benchmark measures it")


def _in_process() -> dict[str, Any]:
    """In a process of its own, so that its memory is what this took and nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_score)


def _score() -> dict[str, Any]:
    from include.scoring import score_interval
    from include.workspace import open_workspace

    space = open_workspace()
    begun = perf_counter()
    scoring = score_interval(space, space.source(SOURCE), FIRST, LAST)
    seconds = perf_counter() - begun
    return {
        "windows": scoring.windows,
        "events": scoring.events,
        "flagged": scoring.anomalies,
        "seconds": seconds,
        "windows_per_second": scoring.windows / seconds,
        "microseconds_per_event": 1e6 * seconds / scoring.events,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _writing(rows: int, rows_by_orm: int) -> dict[str, Any]:
    from include.database import anomalies, models
    from include.workspace import open_workspace

    engine = open_workspace().engine
    found = [_anomaly(n) for n in range(rows)]

    def by_copy() -> None:
        with engine.begin() as conn:
            anomalies.replace_interval(conn, _scoring("copy", rows), found)

    def by_orm() -> None:
        with Session(engine) as session, session.begin():
            scoring = asdict(_scoring("orm", rows_by_orm))
            session.execute(sa.insert(models.Scoring).values(scoring))
            key = [column.name for column in models.Scoring.__table__.primary_key]
            shared = {name: scoring[name] for name in key}
            for each in found[:rows_by_orm]:
                session.add(models.Anomaly(**shared, **asdict(each)))
                session.flush()

    table = {"COPY and upsert": _timed(by_copy, rows), "again": _timed(by_copy, rows)}
    table["ORM, row by row"] = orm = _timed(by_orm, rows_by_orm)
    for row in table.values():
        row["times_the_orm"] = row["rows_per_second"] / orm["rows_per_second"]
    with engine.begin() as conn:
        conn.execute(sa.delete(models.Scoring))
    return table


def _timed(write: Any, rows: int) -> dict[str, Any]:
    begun = perf_counter()
    write()
    seconds = perf_counter() - begun
    return {"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds}


def _scoring(name: str, rows: int) -> Any:
    from include.database.anomalies import Scoring

    day = timedelta(days=1)
    return Scoring(
        name, FIRST, FIRST + day, name, "1", 0, "novelty", rows, rows * 20, rows, 3.0, FIRST + day
    )


def _anomaly(n: int) -> Any:
    from include.database.anomalies import Anomaly

    at = FIRST + timedelta(milliseconds=n)
    return Anomaly(
        window_id=f"blk_{n}@{at:%H%M%S%f}",
        session_key=f"blk_{n}",
        window_start=at,
        window_end=at + timedelta(seconds=9),
        score=3.0 + n % 100,
        threshold=3.0,
        severity="high",
        reason=f"never seen before: “Receiving block <*> of {n % 50} from <*>”",
        explanation=[{"kind": "new", "template_id": f"t{n % 50}", "share": 1.0}],
        lines=[{"object_key": f"hdfs/{n % 24}.log", "line_number": n}] * 5,
        events=20,
        detector="novelty",
        signature=f"new:t{n % 50}",
        sequence=[f"t{k}" for k in range(20)],
    )


if __name__ == "__main__":
    main()
