"""How well do the families detect, beside plain rules, on labelled logs.

    python -m benchmarks.detection [--families a,b] [--tasks A,B] [--seeds N] [--processes N]

Every family with its default settings, fitted on the training part alone, its threshold from
out-of-fold scores of the training windows. Mean over the seeds, and how far these lie apart.

- A: the split of the DeepLog paper, sessions as event numbers; 4,855 normal ones train.
- B: HDFS_2pct, raw lines; the first half of the sessions by first event, less those unfinished at
  the cut and those labelled anomalous, trains; the later ones test, whole.
- C: the same with the anomalous ones left in: nobody has labelled anything.
- D: BGL_100k, raw lines, windows of 300 s, empty ones not scored; the first 10, 30 and 50 % of the
  windows train, once with all of them and once without those that hold an alert.

Templates are mined on the training part and extended over the test part hour by hour. A plain
rule has no threshold to choose, but `rare count vector`, which flags what fewer than one training
window in two hundred shares.

Below each table, how the default ensemble changes by each family, added or left out, and what its
cascade did: how many windows each stage was asked of, how many it settled, and seconds per million
lines. Seconds are taken while as many processes run side by side as there are cores.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import multiprocessing
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.report import default_data, finish, table
from include.ingest.files import (
    cut_windows,
    lines_matching,
    read_files,
    windows_at,
    with_templates,
)
from include.ingest.labelled import windows_of_sequences
from include.sources import LogSource
from ml.detectors.ensemble import CHEAP, Ensemble, together
from ml.evaluation import Figures, evaluate, over_distinct
from ml.families import FAMILIES
from ml.leaks import leak_report
from ml.model import CONTAMINATION, Model
from ml.profile import distinct_rows
from ml.splits import ORIGINS, split_by_share
from ml.tails import Tail
from ml.thresholds import false_alarm_share, quantile_threshold
from ml.windows import Windows

HDFS = {
    "name": "hdfs",
    "format": "hdfs",
    "windowing": {
        "kind": "session",
        "key": r"(blk_-?\d+)",
        "idle_timeout": "365d",
        "longest_span": "3650d",
    },
}
BGL = {"name": "bgl", "format": "bgl", "windowing": {"kind": "time", "size": "5m", "step": "5m"}}
RARE = 0.005
COLUMNS = ["f1", "f1_spread", "average_precision", "precision", "recall", "f1_distinct"]
COLUMNS += ["train_seconds", "score_seconds"]

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """test: distinct windows where `counts` says how many equal ones each stands for.

    normal, anomalous: for each test window, how many normal and anomalous ones it stands for.
    """

    train: Windows
    contamination: float
    test: Windows
    normal: npt.NDArray[np.int64]
    anomalous: npt.NDArray[np.int64]
    verbatim: float

    def figures(self, scores: Scores, threshold: float) -> tuple[Figures, Figures]:
        """Over all test windows, and over the distinct ones, anomalous where any is."""
        twice = np.concatenate([scores, scores])
        truth = np.arange(len(twice)) >= len(scores)
        highest, is_anomalous = over_distinct(self.test, scores, self.anomalous > 0)
        weights = np.concatenate([self.normal, self.anomalous])
        return evaluate(twice, threshold, truth, weights), evaluate(
            highest, threshold, is_anomalous
        )


@dataclass(frozen=True)
class Judged:
    """What a family makes of a task under one seed: surprises of the training windows, out of
    fold, and of the test windows."""

    normal: Scores
    test: Scores


@dataclass(frozen=True)
class Outcome:
    """told: the task in a sentence. rows: the figures of each rule and family. changes: what each
    family adds to the ensemble. stages: of its cascade, under the first seed."""

    told: str
    rows: dict[str, dict[str, Any]]
    changes: dict[str, dict[str, Any]]
    stages: dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument("--families", default=",".join(FAMILIES), help="names, with commas")
    parser.add_argument("--tasks", default="A,B,C,D", help="letters, with commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    families, seeds = options.families.split(","), range(options.seeds)
    print(f"seeds {', '.join(map(str, seeds))}", flush=True)
    results: dict[str, dict[str, Any]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        running = {
            name: pool.submit(_run, task, families, seeds)
            for name, task in tasks(options.data, options.tasks)
        }
        for name, each in running.items():
            outcome = each.result()
            print(f"\n{name}: {outcome.told}")
            table(COLUMNS, outcome.rows)
            for part in (outcome.changes, outcome.stages):
                if part:
                    table(list(next(iter(part.values()))), part)
            results[name] = {
                "families": outcome.rows,
                "ensemble": outcome.changes,
                "stages": outcome.stages,
            }
    finish(results)


def tasks(data: Path, letters: str) -> Iterator[tuple[str, Task]]:
    if "A" in letters:
        yield "A DeepLog split, normal-only", _deeplog(data / "hdfs")
    for name, task in _hdfs(data / "hdfs") if {*"BC"} & {*letters} else ():
        if name[0] in letters:
            yield name, task
    if "D" in letters:
        yield from _bgl(data / "bgl")


def _run(task: Task, families: Sequence[str], seeds: range) -> Outcome:
    rows = {rule: _of_rule(task, RULES[rule]) for rule in RULES}
    judged: dict[str, list[Judged]] = {}
    stages: dict[str, dict[str, Any]] = {}
    for family in families:
        rows[family], judged[family], model = _of_family(task, family, seeds)
        if isinstance(model.detector, Ensemble):
            stages = _stages(task, model.detector)
    changes = _changes(task, judged) if "ensemble" in judged else {}
    return Outcome(_told(task), rows, changes, stages)


def _changes(task: Task, judged: dict[str, list[Judged]]) -> dict[str, dict[str, Any]]:
    """The figures of the default ensemble with each other family added, with each of its members
    left out, and with its cheap members alone."""
    default = Ensemble(anomalous=int(task.contamination * len(task.train)))
    members = [name for name in default.names_for(len(task.train)) if name in judged]
    sets = {"ensemble, all members asked": members}
    for family in judged:
        if family in members and len(members) > 1:
            sets[f"without {family}"] = [name for name in members if name != family]
        elif family not in members and family != "ensemble":
            sets[f"with {family}"] = [*members, family]
    if any(name not in CHEAP for name in members):
        sets["cheap members alone"] = [name for name in members if name in CHEAP]
    return {name: _of_set(task, judged, chosen) for name, chosen in sets.items()}


def _of_set(task: Task, judged: dict[str, list[Judged]], names: list[str]) -> dict[str, Any]:
    rows = []
    for of_seed in zip(*(judged[name] for name in names), strict=True):
        tail = Tail(together(np.array([each.normal for each in of_seed])))
        normal = tail.surprise(tail.sample)
        threshold = quantile_threshold(normal, false_alarm_share(len(normal)))
        test = together(np.array([each.test for each in of_seed]))
        rows.append(_row(task, tail.surprise(test), threshold))
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _stages(task: Task, ensemble: Ensemble) -> dict[str, dict[str, Any]]:
    _, stages = ensemble.staged(task.test)
    return {
        f"stage {number}: {', '.join(stage.members)}": {
            "windows": stage.windows,
            "lines": stage.events,
            "settled": stage.settled,
            "seconds_per_million_lines": stage.seconds / max(stage.events, 1) * 1e6,
        }
        for number, stage in enumerate(stages, start=1)
    }


def _deeplog(data: Path) -> Task:
    texts = {row["EventId"]: row["EventTemplate"] for row in _rows(data / "HDFS_templates.csv")}
    train = read_sequences(data / "deeplog_split_train.gz")
    parts = [
        Counter(read_sequences(data / f"deeplog_split_test_{part}.gz"))
        for part in ("normal", "abnormal")
    ]
    distinct = list(dict.fromkeys([*parts[0], *parts[1]]))
    normal, anomalous = (np.array([part[each] for each in distinct]) for part in parts)
    known = set(train)
    verbatim = sum(normal[n] + anomalous[n] for n, each in enumerate(distinct) if each in known)
    return Task(
        replace(windows_of_sequences(train), texts=texts),
        0.0,
        replace(windows_of_sequences(distinct), texts=texts),
        normal,
        anomalous,
        verbatim / (normal.sum() + anomalous.sum()),
    )


def read_sequences(path: Path) -> list[tuple[str, ...]]:
    with gzip.open(path, "rt") as lines:
        return [tuple(f"E{event}" for event in line.split()) for line in lines if line.strip()]


def _hdfs(data: Path) -> Iterator[tuple[str, Task]]:
    source = LogSource.model_validate(HDFS)
    files = read_files([data / "HDFS_2pct.log.gz"], source)
    windows = cut_windows(files, source)
    is_anomalous = windows.spans["session_key"].is_in(hdfs_anomalies(data))
    ids = set(windows.spans["window_id"].filter(is_anomalous))
    settings = {"B HDFS_2pct, normal-only": False, "C HDFS_2pct, contaminated": True}
    for name, keep_all in settings.items():
        yield name, _task(files.events["message"], source, windows, ids, 0.5, keep_all)


def hdfs_anomalies(data: Path) -> list[str]:
    """The keys of the anomalous sessions of HDFS_2pct."""
    rows = _rows(data / "HDFS_2pct_labels.csv.gz")
    return [row["BlockId"] for row in rows if row["Label"] in ("Anomaly", "1")]


def _bgl(data: Path) -> Iterator[tuple[str, Task]]:
    source = LogSource.model_validate(BGL)
    path = data / "BGL_100k.log.gz"
    files = read_files([path], source)
    windows = cut_windows(files, source)
    is_alert = windows_at(files, windows, lines_matching([path], "^[^-]"))
    ids = set(windows.spans["window_id"].filter(is_alert))
    for keep_all in (True, False):
        for origin in ORIGINS:
            setting = "contaminated" if keep_all else "normal-only"
            task = _task(files.events["message"], source, windows, ids, origin, keep_all)
            yield f"D BGL_100k from {origin:.0%}, {setting}", task


def _task(
    messages: pl.Series,
    source: LogSource,
    windows: Windows,
    anomalous: set[str],
    origin: float,
    keep_all: bool,
) -> Task:
    """anomalous: ids of the windows. keep_all: also those of the training part."""
    split = with_templates(split_by_share(windows, origin), messages, messages, source)
    in_train, in_test = (
        part.spans["window_id"].is_in(list(anomalous)).to_numpy()
        for part in (split.train, split.test)
    )
    if not keep_all:
        split = replace(split, train=split.train.where(~in_train))
    return Task(
        split.train,
        CONTAMINATION if keep_all else 0.0,
        split.test,
        (~in_test).astype(np.int64),
        in_test.astype(np.int64),
        leak_report(split).verbatim_share,
    )


def _of_family(task: Task, family: str, seeds: range) -> tuple[dict[str, Any], list[Judged], Model]:
    """The figures, the surprises of each seed, and the model of the first."""
    found: dict[str, list[float]] = defaultdict(list)
    judged, models = [], []
    for seed in seeds:
        started = perf_counter()
        model = Model.train(family, task.train, task.contamination, seed)
        trained = perf_counter()
        scores = model.score(task.test)
        seconds = {"train_seconds": trained - started, "score_seconds": perf_counter() - trained}
        for name, figure in (_row(task, scores, model.threshold) | seconds).items():
            found[name].append(figure)
        judged.append(Judged(model.tail.surprise(model.tail.sample), scores))
        models.append(model)
    row = {name: float(np.mean(figures)) for name, figures in found.items()}
    return row | {"f1_spread": max(found["f1"]) - min(found["f1"])}, judged, models[0]


def _of_rule(task: Task, rule: Callable[[Task], tuple[Scores, float]]) -> dict[str, Any]:
    started = perf_counter()
    row = _row(task, *rule(task))
    seconds = perf_counter() - started
    return row | {"f1_spread": 0.0, "train_seconds": seconds, "score_seconds": 0.0}


def _row(task: Task, scores: Scores, threshold: float) -> dict[str, float]:
    over_all, over_distinct = task.figures(scores, threshold)
    return {
        "f1": over_all.f1 or 0.0,
        "average_precision": over_all.average_precision or 0.0,
        "precision": over_all.precision or 0.0,
        "recall": over_all.recall or 0.0,
        "f1_distinct": over_distinct.f1 or 0.0,
    }


def _unseen_template(task: Task) -> tuple[Scores, float]:
    vocabulary = sorted(task.train.events["template_id"].unique())
    unseen = task.test.count_vectors(vocabulary).toarray()[:, -1]
    return (unseen > 0).astype(np.float64), 0.5


def _unseen_counts(task: Task) -> tuple[Scores, float]:
    return (_sharing(task) == 0).astype(np.float64), 0.5


def _rare_counts(task: Task) -> tuple[Scores, float]:
    return -_sharing(task) / len(task.train), -RARE


def _sharing(task: Task) -> npt.NDArray[np.int64]:
    """How many training windows have the same counts, for each test window."""
    vocabulary = sorted({*task.train.events["template_id"], *task.test.events["template_id"]})
    vectors = [part.count_vectors(vocabulary).toarray() for part in (task.train, task.test)]
    _, _, place = distinct_rows(np.concatenate(vectors))
    in_train = np.bincount(place[: len(task.train)], minlength=place.max() + 1)
    return in_train[place[len(task.train) :]]


RULES = {
    "rule: unseen template": _unseen_template,
    "rule: unseen count vector": _unseen_counts,
    "rule: rare count vector": _rare_counts,
}


def _rows(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    text = gzip.decompress(data).decode() if path.suffix == ".gz" else data.decode()
    return list(csv.DictReader(text.splitlines()))


def _told(task: Task) -> str:
    return (
        f"{len(task.train):,} windows train; {task.normal.sum():,} normal and "
        f"{task.anomalous.sum():,} anomalous ones test, {len(task.test.distinct()[0]):,} distinct, "
        f"{task.verbatim:.1%} of them stand verbatim in training"
    )


if __name__ == "__main__":
    main()
