"""Is tuning worth it, and do its trials run side by side?

    python -m benchmarks.tuning [--families a,b] [--trials N] [--trials-of lstm=8,bert=4]
        [--seeds N] [--tasks labelled,unlabelled] [--side-by-side K] [--rounds N]

Defaults against tuned settings. The sessions of HDFS_2pct in order of their start, cut at 80 %: the
later fifth is held out, and what ends before the cut is what tuning sees. Templates are mined there
and extended hour by hour. Trials are those of `train_detectors` (the defaults first, then TPE and
the median pruner), over the same folds, in memory. Both settings are then fitted on all that ends
before the cut, and judged on the held-out part. Seeds vary the sampler, networks and forests, and
which faults are planted.

- labelled: all anomalies before the cut are known; the figure is average precision.
- unlabelled: none is, on the folds and in the held-out part; the figure is the recall of planted
  faults at the budget. Beside it, the average precision by the labels that tuning has not seen.

Trials side by side. A study of `lstm` in the embedded Postgres, and the same `--side-by-side`
settings tried by one worker process, then by two, `--rounds` times. Nothing is pruned, so that both
do the same work, and a trial has one thread. Not counted is what a worker does once: it starts,
imports, gets its folds and fits one small network. `cores_used` are seconds of processor time of
all workers by seconds on the clock: what is missing to the number of workers went to others.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import mean, median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.storages import BaseStorage

from benchmarks.detection import HDFS, hdfs_anomalies
from benchmarks.report import default_data, finish, table
from include.ingest.files import cut_windows, read_files, with_templates
from include.sources import LogSource
from include.training import studies
from include.training.data import TRAIN_SHARE
from ml import search
from ml.families import FAMILIES
from ml.ranking import Ranking
from ml.splits import Split, split_by_share
from ml.tuning import Exam, first_settings, folds, marked, search_space
from services.local import Stack
from services.local.environment import THREADS, database_url

COLUMNS = ["trials", "seconds_per_trial", "folds, defaults", "folds, tuned"]
COLUMNS += ["held out, defaults", "held out, tuned", "gain", "by seed"]
BY_LABELS = ["by labels, defaults", "by labels, tuned"]

# What the trials side by side try: so small that a trial takes seconds.
FEW_WINDOWS = 0.3
FEW_STEPS = 250
# A worker that has not started by then never will.
START_S = 120

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """in_train, in_test: what is labelled anomalous. is_told: whether tuning hears of it."""

    split: Split
    in_train: Bools
    in_test: Bools
    is_told: bool

    def folds(self, seed: int) -> list[Exam]:
        return folds(self.split.train, self.in_train & self.is_told, seed)

    def held_out(self, seed: int) -> Exam:
        told = self.in_train & self.is_told, self.in_test & self.is_told
        return Exam.of(self.split, *told, seed)


@dataclass(frozen=True)
class Figures:
    """folds: their mean. held_out: the figure tuning aims at. by_labels: average precision."""

    settings: dict[str, Any]
    folds: float
    held_out: float
    by_labels: float


@dataclass(frozen=True)
class Tuned:
    """What one seed found. seconds: per trial."""

    trials: int
    seconds: float
    defaults: Figures
    tuned: Figures


def main() -> None:
    options = _options()
    # One thread each: workers read this when they import.
    os.environ.update(THREADS | {"POLARS_MAX_THREADS": "1"})
    results: dict[str, Any] = {}
    if options.tasks:
        results = _tables(options)
    if options.side_by_side:
        results["side by side"] = _side_by_side(options)
    finish(results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument("--families", default=",".join(FAMILIES), help="names, with commas")
    parser.add_argument("--tasks", default="labelled,unlabelled", help="names, with commas")
    parser.add_argument("--trials", type=int, default=20, help="of each family")
    parser.add_argument("--trials-of", default="", help="other numbers: lstm=8,bert=4")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--until", type=float, default=1.0, help="the earlier share of the windows")
    parser.add_argument("--side-by-side", type=int, default=6, help="so many trials; 0 for none")
    parser.add_argument("--rounds", type=int, default=3, help="of the trials side by side")
    return parser.parse_args()


def _tables(options: argparse.Namespace) -> dict[str, Any]:
    families, seeds = options.families.split(","), range(options.seeds)
    trials = dict.fromkeys(families, options.trials)
    trials |= {
        name: int(n) for name, n in (e.split("=") for e in options.trials_of.split(",") if e)
    }
    results = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        for name in options.tasks.split(","):
            task = _hdfs(options.data, options.until, is_told=name == "labelled")
            running = {
                family: [pool.submit(tune, task, family, seed, trials[family]) for seed in seeds]
                for family in families
            }
            print(f"\nHDFS_2pct, {name}: {_told(task)}", flush=True)
            found = {
                family: [_told_of(family, seed, each.result()) for seed, each in enumerate(jobs)]
                for family, jobs in running.items()
            }
            rows = {family: _row(of_seeds) for family, of_seeds in found.items()}
            table(COLUMNS + ([] if task.is_told else BY_LABELS), rows)
            results[name] = {
                family: [asdict(each) for each in of_seeds] for family, of_seeds in found.items()
            }
    return results


def _hdfs(data: Path, until: float, *, is_told: bool) -> Task:
    """until: only this share of the windows, the earlier ones, is looked at."""
    source = LogSource.model_validate(HDFS)
    files = read_files([data / "hdfs" / "HDFS_2pct.log.gz"], source)
    windows = cut_windows(files, source)
    windows = windows.take(np.arange(round(until * len(windows))))
    is_anomalous = windows.spans["session_key"].is_in(hdfs_anomalies(data / "hdfs")).to_numpy()
    messages = files.events["message"]
    split = with_templates(split_by_share(windows, TRAIN_SHARE), messages, messages, source)
    in_train, in_test = (marked(part, windows, is_anomalous) for part in (split.train, split.test))
    return Task(split, in_train, in_test, is_told)


def tune(task: Task, family: str, seed: int, trials: int) -> Tuned:
    """Tune a family as `train_detectors` does, and judge what was found on the held-out part."""
    exams = task.folds(seed)
    known = {"has_labels": task.is_told}
    study = search.open_study(family, **known)
    trials = search.trials_worth(family, trials, **known)
    started = perf_counter()
    done = [
        search.new_trial(study, family, exams, **known, seed=seed, number=number)
        for number in range(trials)
    ]
    seconds = (perf_counter() - started) / trials
    best, objective = search.best_settings(study, family, **known)
    first = first_settings(family, **known)[0]
    defaults = _judged(task, family, first, seed, done[0].value)
    if best == first:
        return Tuned(trials, seconds, defaults, defaults)
    return Tuned(trials, seconds, defaults, _judged(task, family, best, seed, objective))


def _judged(
    task: Task, family: str, settings: dict[str, Any], seed: int, objective: float | None
) -> Figures:
    exam = task.held_out(seed)
    detector = exam.fitted(family, settings, seed)
    by_labels = Ranking(detector.score(task.split.test), task.in_test).average_precision()
    held_out = exam.figure(detector.score(exam.trial.test))
    return Figures(dict(settings), objective or 0.0, held_out, by_labels)


def _row(found: Sequence[Tuned]) -> dict[str, Any]:
    gains = [each.tuned.held_out - each.defaults.held_out for each in found]
    pairs = [(each.defaults.held_out, each.tuned.held_out) for each in found]
    row: dict[str, Any] = {
        "trials": found[0].trials,
        "seconds_per_trial": mean(each.seconds for each in found),
        "gain": _spread(gains, "+"),
        "by seed": ", ".join(f"{before:.3f}→{after:.3f}" for before, after in pairs),
    }
    for name in ("defaults", "tuned"):
        of_kind: list[Figures] = [getattr(each, name) for each in found]
        row[f"folds, {name}"] = _spread([each.folds for each in of_kind])
        row[f"held out, {name}"] = _spread([each.held_out for each in of_kind])
        row[f"by labels, {name}"] = _spread([each.by_labels for each in of_kind])
    return row


def _spread(figures: Sequence[float], sign: str = "") -> str:
    """Their mean, and how far they lie apart."""
    return f"{mean(figures):{sign}.3f} ± {(max(figures) - min(figures)) / 2:.3f}"


def _told_of(family: str, seed: int, found: Tuned) -> Tuned:
    """Some take long: each is told of when it is there."""
    before, after = found.defaults, found.tuned
    settings = ", ".join(f"{name} {value:.3g}" for name, value in after.settings.items())
    print(f"{family}, seed {seed}: folds {before.folds:.4f}→{after.folds:.4f}, ", end="")
    print(f"held out {before.held_out:.4f}→{after.held_out:.4f} with {settings}", flush=True)
    return found


def _told(task: Task) -> str:
    test = task.in_test
    return (
        f"{len(task.split.train):,} sessions before {task.split.cut:%Y-%m-%d %H:%M} UTC, "
        f"{task.in_train.sum():,} of them anomalous; {len(test):,} held out, {test.sum():,} of "
        "them anomalous. Mean over the seeds ± half of how far they lie apart"
    )


def _side_by_side(options: argparse.Namespace) -> dict[str, Any]:
    task = _hdfs(options.data, FEW_WINDOWS, is_told=True)
    exams = task.folds(0)
    space = search_space("lstm", has_labels=True)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    settings = [
        {**drawn.ask(space).params, "most_steps": FEW_STEPS} for _ in range(options.side_by_side)
    ]
    rows: dict[str, dict[str, Any]] = {}
    ratios = []
    with _postgres() as url:
        storage = studies.storage_at(url, is_new=True)
        with _workers(1, url, exams) as one, _workers(2, url, exams) as two:
            for number in range(1, options.rounds + 1):
                alone = _timed(one, storage, f"round {number}, one worker", settings)
                both = _timed(two, storage, f"round {number}, two workers", settings)
                rows |= {f"round {number}, one worker": alone, f"round {number}, two": both}
                ratios.append(both["seconds_per_trial"] / alone["seconds_per_trial"])
    print(f"\nlstm, {len(settings)} trials of a study in Postgres, {len(exams)} folds each")
    table(["seconds_per_trial", "processor_seconds_per_trial", "cores_used"], rows)
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"two workers to one, by round: {told}; median {median(ratios):.2f}")
    return {"rows": rows, "ratios": ratios, "median_ratio": median(ratios)}


@contextmanager
def _postgres() -> Iterator[str]:
    """The address of the database of a stack of its own."""
    with tempfile.TemporaryDirectory(prefix="loganalyzer-") as folder:
        stack = Stack(Path(folder) / "stack")
        try:
            yield database_url(stack.up(only={"postgres"}), "loganalyzer")
        finally:
            stack.down()


@contextmanager
def _workers(count: int, url: str, exams: list[Exam]) -> Iterator[ProcessPoolExecutor]:
    """Processes that have started, imported and fitted once."""
    context = multiprocessing.get_context("spawn")
    meeting = context.Barrier(count)
    given = (url, exams, meeting)
    with ProcessPoolExecutor(count, context, _start_worker, given) as pool:
        # A process is started for each job that finds none idle.
        for each in [pool.submit(_meet) for _ in range(count)]:
            each.result()
        yield pool


WORKER: dict[str, Any] = {}


def _start_worker(url: str, exams: list[Exam], meeting: Barrier) -> None:
    search.STARTUP_OF_PRUNER = 1_000_000
    exams[0].fitted("lstm", {"most_steps": 1}, 0)
    WORKER.update(storage=studies.storage_at(url), exams=exams, meeting=meeting)


def _meet() -> None:
    WORKER["meeting"].wait(START_S)


def _timed(
    pool: ProcessPoolExecutor,
    storage: BaseStorage,
    name: str,
    settings: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    for each in settings:
        study.enqueue_trial(each)
    started = perf_counter()
    running = [pool.submit(_try_one, name, number) for number in range(len(settings))]
    processor = sum(each.result() for each in running)
    seconds = perf_counter() - started
    return {
        "seconds_per_trial": seconds / len(settings),
        "processor_seconds_per_trial": processor / len(settings),
        "cores_used": processor / seconds,
    }


def _try_one(name: str, number: int) -> float:
    """Run a trial of a study as a task of `train_detectors` does; its seconds of processor time."""
    started = process_time()
    study = optuna.load_study(study_name=name, storage=WORKER["storage"])
    search.new_trial(study, "lstm", WORKER["exams"], has_labels=True, seed=0, number=number)
    return process_time() - started


if __name__ == "__main__":
    main()
