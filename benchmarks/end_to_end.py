"""The three DAGs on real logs, under the real scheduler, against the labels.

Uploads the logs cut into hourly objects, ingests them in one run, trains, scores night by night
every day that windows close in, and compares the anomaly table with the truth. HDFS goes twice:
with the labels of the first 5,750 sessions imported, and without any. BGL goes in windows of five
minutes.

flagged, precision and recall: of the windows of the test part, which nothing was trained on.
incidents: those that one of these windows or more belongs to; false: of them, those without any
window that the labels call anomalous; mostly_false: those with fewer of these than of others.
Incidents of rates alone, which the labels say nothing of, are counted apart. alerts: messages that
a webhook got, night by night.

Each has a stack of its own in a temporary folder; nothing of the user's is touched.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import polars as pl
import sqlalchemy as sa

from benchmarks.report import default_data, finish, table
from include.settings import get_settings
from services.local import Stack

DAY = timedelta(days=1)
LABELLED_SESSIONS = 5_750
BGL_WINDOW_S = 300
BGL_TRAIN_SHARE = 0.5
HDFS = """
name: hdfs
format: hdfs
windowing: {kind: session, key: '(blk_-?\\d+)', idle_timeout: 1d, longest_span: 3d}
"""
BGL = """
name: bgl
format: bgl
windowing: {kind: time, size: 5m, step: 5m}
"""


# Every anomaly that stands is in one of them.
MEMBERS = sa.text(
    "SELECT p.incident_id, a.detector, a.session_key AS session, a.window_start AS time "
    "FROM loganalyzer.incident_anomalies AS p JOIN loganalyzer.anomalies AS a "
    "USING (source, interval_start, interval_end, model_name, model_version, catalogue_version, "
    "window_id) WHERE source = :source"
)


@dataclass(frozen=True, slots=True)
class Labels:
    """windows: how many there are; test: those that are judged by the labels; anomalous: of all,
    what the labels say. of: which of them a row of anomalies is."""

    windows: int
    test: set[Any]
    anomalous: set[Any]
    of: Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the database says after the last night, against the labels of the test part."""

    lines: int
    accounted: int
    windows: int
    expected_windows: int
    test_windows: int
    test_anomalous: int
    flagged: int
    hits: int
    incidents: int
    false_incidents: int
    mostly_false: int
    rate_incidents: int
    alerts: str
    detector: str
    seconds: float

    def document(self) -> dict[str, Any]:
        ratio = {
            "precision": self.hits / self.flagged if self.flagged else None,
            "recall": self.hits / self.test_anomalous if self.test_anomalous else None,
            "f1": 2 * self.hits / (self.flagged + self.test_anomalous),
            "false_share": self.false_incidents / self.incidents if self.incidents else None,
        }
        return {name: getattr(self, name) for name in self.__slots__} | ratio


class Inbox(BaseHTTPRequestHandler):
    """A webhook: counts the messages that it gets."""

    messages: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _inbox() -> Iterator[str]:
    """The address of a webhook that is there meanwhile."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Inbox) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Pipeline:
    """The DAGs of a running stack."""

    def __init__(self, stack: Stack) -> None:
        self.airflow = stack.airflow()

    def run(self, dag_id: str, **conf: Any) -> float:
        """Run a DAG to its end; the seconds it took."""
        begun = time.monotonic()
        self.airflow.unpause(dag_id)
        self.airflow.wait(dag_id, self.airflow.trigger(dag_id, conf))
        return time.monotonic() - begun

    def score_nights(self, source: str, first: date, nights: int) -> str:
        """Score night by night; how many messages came of each."""
        told = []
        for night in (first + n * DAY for n in range(nights)):
            before = len(Inbox.messages)
            self.run("score_nightly", source=source, first_day=str(night))
            told.append(len(Inbox.messages) - before)
        return ", ".join(map(str, told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=default_data(), help="folder of the real logs")
    data: Path = parser.parse_args().data
    results: dict[str, Outcome] = {}
    # A stack each: what is alike in two sources would be one incident of both.
    with _running_stack() as (pipeline, sources):
        results["HDFS_2pct with labels"] = _hdfs(pipeline, sources, data, labelled=True)
    with _running_stack() as (pipeline, sources):
        results["HDFS_2pct without labels"] = _hdfs(pipeline, sources, data, labelled=False)
    with _running_stack() as (pipeline, sources):
        results["BGL_100k"] = _bgl(pipeline, sources, data)
    columns = ["lines", "accounted", "windows", "expected_windows", "test_windows"]
    columns += ["test_anomalous", "flagged", "precision", "recall", "f1", "detector", "seconds"]
    rows = {name: outcome.document() for name, outcome in results.items()}
    table(columns, rows)
    columns = ["incidents", "false_incidents", "false_share", "mostly_false", "rate_incidents"]
    table([*columns, "alerts"], rows)
    finish(rows)


@contextmanager
def _running_stack() -> Iterator[tuple[Pipeline, Path]]:
    with tempfile.TemporaryDirectory(prefix="loganalyzer-") as folder, _inbox() as webhook:
        os.environ["LOGANALYZER_ALERT_WEBHOOK_URL"] = webhook
        stack = Stack(Path(folder) / "stack")
        sources = Path(folder) / "sources"
        sources.mkdir()
        os.environ["LOGANALYZER_SOURCES_PATH"] = str(sources)
        try:
            stack.up(report=lambda name, seconds: print(f"  {name} ({seconds:.1f} s)"))
            os.environ.update(stack.environment())
            get_settings.cache_clear()
            yield Pipeline(stack), sources
        finally:
            stack.down()


def _hdfs(pipeline: Pipeline, sources: Path, data: Path, *, labelled: bool) -> Outcome:
    name = "hdfs"
    lines = gzip.decompress((data / "hdfs" / "HDFS_2pct.log.gz").read_bytes()).splitlines()
    begun = time.monotonic()
    (sources / "hdfs.yaml").write_text(HDFS)
    _upload(name, lines, hour_of=lambda line: line[:9].decode().replace(" ", "/"))
    pipeline.run("ingest_logs", source=name)
    truth = _hdfs_truth(data)
    first_event = _first_events(lines)
    order = sorted(first_event, key=lambda key: first_event[key])
    cut_text = first_event[order[LABELLED_SESSIONS]][0]
    cut = datetime.strptime(f"{cut_text} +0000", "%y%m%d %H%M%S %z")
    early, late = order[:LABELLED_SESSIONS], set(order[LABELLED_SESSIONS:])
    if labelled:
        _import_labels(name, [(key, truth[key]) for key in early])
    pipeline.run(
        "train_detectors",
        source=name,
        period_start="2008-11-09T00:00:00+00:00",
        period_end=cut.isoformat(),
    )
    # The last block closes a day after its last event, on the twelfth.
    alerts = pipeline.score_nights(name, date(2008, 11, 9), 4)
    seconds = time.monotonic() - begun
    labels = Labels(
        windows=len(order),
        test=late,
        anomalous={key for key in order if truth[key]},
        of=lambda row: row["session"],
    )
    return _outcome(name, len(lines), labels, alerts, seconds)


def _bgl(pipeline: Pipeline, sources: Path, data: Path) -> Outcome:
    name = "bgl"
    lines = gzip.decompress((data / "bgl" / "BGL_100k.log.gz").read_bytes()).splitlines()
    begun = time.monotonic()
    (sources / "bgl.yaml").write_text(BGL)
    _upload(name, lines, hour_of=lambda line: line.split(b" ", 5)[4][:13].decode())
    pipeline.run("ingest_logs", source=name)
    slots = _bgl_slots(lines)
    order = sorted(slots)
    first_test = order[int(len(order) * BGL_TRAIN_SHARE)]
    cut = datetime.fromtimestamp(first_test * BGL_WINDOW_S, UTC)
    pipeline.run(
        "train_detectors",
        source=name,
        period_start="2005-06-03T00:00:00+00:00",
        period_end=cut.isoformat(),
    )
    alerts = pipeline.score_nights(name, date(2005, 6, 3), 3)
    seconds = time.monotonic() - begun
    labels = Labels(
        windows=len(order),
        test={slot for slot in order if slot >= first_test},
        anomalous={slot for slot in order if slots[slot]},
        of=lambda row: int(row["time"].timestamp()) // BGL_WINDOW_S,
    )
    return _outcome(name, len(lines), labels, alerts, seconds)


def _outcome(name: str, lines: int, labels: Labels, alerts: str, seconds: float) -> Outcome:
    from include.database import anomalies, ledger
    from include.workspace import open_workspace

    with open_workspace().engine.connect() as conn:
        total = next(row for row in ledger.totals(conn) if row["source"] == name)
        scored = anomalies.scorings(conn, name)
        members = conn.execute(MEMBERS, {"source": name}).mappings().all()
    accounted = total["events"] + total["lines_continued"] + total["lines_quarantined"]
    windows: dict[str, set[Any]] = {}
    for row in members:
        of_incident = windows.setdefault(row["incident_id"], set())
        if row["detector"] != "rate":
            of_incident.add(labels.of(row))
    flagged = set().union(*windows.values()) & labels.test
    in_test = [each for each in windows.values() if each & labels.test]
    return Outcome(
        lines=lines,
        accounted=accounted,
        windows=sum(row["windows"] for row in scored),
        expected_windows=labels.windows,
        test_windows=len(labels.test),
        test_anomalous=len(labels.test & labels.anomalous),
        flagged=len(flagged),
        hits=len(flagged & labels.anomalous),
        incidents=len(in_test),
        false_incidents=sum(not each & labels.anomalous for each in in_test),
        mostly_false=sum(2 * len(each & labels.anomalous) < len(each) for each in in_test),
        rate_incidents=sum(not each for each in windows.values()),
        alerts=alerts,
        detector=", ".join(sorted({row["detector"] for row in scored})),
        seconds=round(seconds, 1),
    )


def _upload(name: str, lines: list[bytes], hour_of: Any) -> None:
    from include.workspace import open_workspace

    open_workspace.cache_clear()
    space = open_workspace()
    hours: dict[str, list[bytes]] = {}
    for line in lines:
        hours.setdefault(hour_of(line), []).append(line)
    for hour, members in hours.items():
        data = gzip.compress(b"\n".join(members) + b"\n", mtime=0)
        space.store.put_bytes(space.settings.bucket_logs, f"{name}/{hour}.log.gz", data)
    print(f"  {name}: {len(lines):,} lines in {len(hours)} objects")


def _import_labels(name: str, labels: list[tuple[str, bool]]) -> None:
    from include.database.labels import import_labels, read_label_csv
    from include.workspace import open_workspace

    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session_key", "label"])
        writer.writerows((key, "anomalous" if bad else "normal") for key, bad in labels)
        file.flush()
        rows = read_label_csv(Path(file.name))
    with open_workspace().engine.begin() as conn:
        import_labels(conn, name, rows, "benchmark", "the labels of the first sessions")


def _hdfs_truth(data: Path) -> dict[str, bool]:
    frame = pl.read_csv(data / "hdfs" / "HDFS_2pct_labels.csv.gz")
    return {key: label == "Anomaly" for key, label in frame.rows()}


def _first_events(lines: list[bytes]) -> dict[str, tuple[str, int]]:
    """For each block the time of its first line as written, and the line's number."""
    frame = pl.DataFrame({"line": [line.decode() for line in lines]}).with_row_index("number")
    firsts = frame.select(
        key=pl.col("line").str.extract(r"(blk_-?\d+)"), time=pl.col("line").str.slice(0, 13),
        number="number",
    ).group_by("key").agg(pl.col("time", "number").first())  # fmt: skip
    return {key: (moment, number) for key, moment, number in firsts.rows()}


def _bgl_slots(lines: list[bytes]) -> dict[int, bool]:
    """Whether each window of five minutes that is not empty holds an alert.

    The windows are those of the event times that the pipeline reads, not of the Unix times in the
    second column, which are local time.
    """
    slots: dict[int, bool] = {}
    for line in lines:
        verdict, _, _, _, stamp = line.split(b" ", 5)[:5]
        moment = datetime.strptime(stamp.decode(), "%Y-%m-%d-%H.%M.%S.%f").replace(tzinfo=UTC)
        slot = int(moment.timestamp()) // BGL_WINDOW_S
        slots[slot] = slots.get(slot, False) or verdict != b"-"
    return slots


if __name__ == "__main__":
    main()
