"""How many incidents a night has, and how many of them are false, on labelled logs.

    python -m benchmarks.nights [--families a,b] [--data FOLDER]

The first half of the windows of HDFS_2pct (sessions) and of BGL_100k (windows of 300 s), less those
that its labels call anomalous, trains each family with its default settings. Then the second half
is judged night by night and grouped after each, with the incidents that there were before, as
`score_nightly` does it. As each half is of a day or less, an hour stands for a night; a session is
judged in the one that it ends in. The rates of hours (`ml.rates`) are not judged here.

flagged: windows that are anomalies; incidents: those that they join; new: of these, those that they
found, each of which is one message. An incident is false where none of its windows is labelled
anomalous, and mostly false where fewer than half are. Precision and recall are those of windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.detection import BGL, HDFS, hdfs_anomalies
from benchmarks.report import default_data, finish, table
from include.ingest.files import (
    LogFiles,
    cut_windows,
    lines_matching,
    read_files,
    windows_at,
    with_templates,
)
from include.sources import LogSource
from ml.evaluation import evaluate
from ml.families import DEFAULT_FAMILIES
from ml.incidents import Incident, Sighting, group, words_of
from ml.model import Model
from ml.splits import split_by_share
from ml.windows import Windows

Bools = npt.NDArray[np.bool_]

NIGHT = "1h"
OF_NIGHTS = ["windows", "flagged", "incidents", "new"]
IN_TOTAL = ["nights", "flagged", "incidents", "false", "false_share", "mostly_false"]
IN_TOTAL += ["mostly_false_share", "precision", "recall"]


@dataclass(frozen=True)
class Log:
    """train: normal windows. test: all later ones; is_anomalous: what the labels say of these."""

    name: str
    train: Windows
    test: Windows
    is_anomalous: Bools


@dataclass(frozen=True)
class Night:
    start: datetime
    windows: int
    sightings: list[Sighting]
    incidents: list[Incident]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument("--families", default=",".join(DEFAULT_FAMILIES), help="with commas")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for log in logs(options.data):
        for family in options.families.split(","):
            name = f"{log.name}, {family}"
            model = Model.train(family, log.train)
            nights, incidents = judged(log, model)
            print(f"\n{name}: {len(log.train):,} windows train, {len(log.test):,} test")
            table(OF_NIGHTS, {f"{night.start:%m-%d %H}": _of_night(night) for night in nights})
            results[name] = _in_total(log, model, nights, incidents)
    print()
    table(IN_TOTAL, results)
    finish(results)


def logs(data: Path) -> Iterator[Log]:
    keys = hdfs_anomalies(data / "hdfs")

    def of_sessions(files: LogFiles, windows: Windows) -> Bools:
        return windows.spans["session_key"].is_in(keys).to_numpy()

    yield _log("HDFS_2pct", data / "hdfs" / "HDFS_2pct.log.gz", HDFS, of_sessions)
    path = data / "bgl" / "BGL_100k.log.gz"

    def of_lines(files: LogFiles, windows: Windows) -> Bools:
        return windows_at(files, windows, lines_matching([path], "^[^-]"))

    yield _log("BGL_100k", path, BGL, of_lines)


def _log(
    name: str, path: Path, settings: dict[str, Any], labels: Callable[[LogFiles, Windows], Bools]
) -> Log:
    source = LogSource.model_validate(settings)
    files = read_files([path], source)
    windows = cut_windows(files, source)
    anomalous = windows.spans["window_id"].filter(labels(files, windows)).implode()
    messages = files.events["message"]
    split = with_templates(split_by_share(windows, 0.5), messages, messages, source)
    in_train, in_test = (
        part.spans["window_id"].is_in(anomalous).to_numpy() for part in (split.train, split.test)
    )
    return Log(name, split.train.where(~in_train), split.test, in_test)


def judged(log: Log, model: Model) -> tuple[list[Night], list[Incident]]:
    """The nights, and the incidents of all of them; `row` of a sighting is that of the window."""
    of_window = log.test.spans["ends_at"].dt.truncate(NIGHT)
    nights: list[Night] = []
    incidents: list[Incident] = []
    for start in of_window.unique().sort():
        rows = (of_window == start).arg_true().to_numpy()
        sightings = _sightings(log, model, start, rows)
        incidents = group(sightings, {each.incident_id: each.sightings for each in incidents})
        touched = [each for each in incidents if each.last.night == start]
        nights.append(Night(start, len(rows), sightings, touched))
    return nights, incidents


def _sightings(
    log: Log, model: Model, night: datetime, rows: npt.NDArray[np.integer]
) -> list[Sighting]:
    windows = log.test.take(rows)
    found = []
    for anomaly in model.judge(windows).anomalies:
        span = windows.spans.row(anomaly.row, named=True)
        signature = anomaly.explanation.signature
        found.append(
            Sighting(
                row=int(rows[anomaly.row]),
                source=log.name,
                window_id=span["window_id"],
                night=night,
                start=span["starts_at"],
                end=span["ends_at"],
                score=anomaly.score,
                severity=anomaly.severity,
                signature=signature,
                words=words_of(signature, lambda template: log.test.texts.get(template, template)),
                session_key=span["session_key"],
            )
        )
    return found


def _of_night(night: Night) -> dict[str, int]:
    return {
        "windows": night.windows,
        "flagged": len(night.sightings),
        "incidents": len(night.incidents),
        "new": sum(each.sightings[0].night == night.start for each in night.incidents),
    }


def _in_total(
    log: Log, model: Model, nights: list[Night], incidents: list[Incident]
) -> dict[str, Any]:
    flagged = np.zeros(len(log.test))
    flagged[[each.row for night in nights for each in night.sightings]] = 1.0
    figures = evaluate(flagged, 0.5, log.is_anomalous)
    shares = [
        np.mean([log.is_anomalous[part.row] for part in each.sightings]) for each in incidents
    ]
    false, mostly_false = (sum(map(test, shares)) for test in (lambda s: not s, lambda s: s < 0.5))
    return {
        "nights": len(nights),
        "flagged": int(flagged.sum()),
        "incidents": len(incidents),
        "false": int(false),
        "false_share": false / max(len(incidents), 1),
        "mostly_false": int(mostly_false),
        "mostly_false_share": mostly_false / max(len(incidents), 1),
        "precision": figures.precision,
        "recall": figures.recall,
    }


if __name__ == "__main__":
    main()
