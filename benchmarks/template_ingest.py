"""How fast is ingest as a whole, next to drain3 that only mines the same lines.

From objects in the S3 gateway to committed events in the lake, by the steps of the DAG
`ingest_logs`: discover, download, decode, header, validate, templates, Parquet, ledger. Two
processes take the batches, of their default size, as Airflow's tasks would; the steps over all
batches run in this one, the checks beside the writing, as in the DAG. What a step imports, Great
Expectations above all, counts once a process; starting the stack and uploading do not count.
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from benchmarks.template_peers import mine_with
from services.local import Stack

PROCESSES = 2
OBJECT_LINES = 100_000
SOURCES = {
    "hdfs": "{kind: session, key: '(blk_-?\\d+)', idle_timeout: 1d, longest_span: 3d}",
    "bgl": "{kind: time, size: 5m, step: 5m}",
}


@dataclass(frozen=True)
class Corpus:
    """lines: as in the file; messages: what drain3 is given of them."""

    lines: pl.Series
    messages: pl.Series


def ingest_seconds(corpora: dict[str, Corpus]) -> tuple[float, dict[str, float]]:
    """Seconds in all and by step, for the sources of SOURCES.

    Raises RuntimeError where not every line became an event.
    """
    with _workspace_of(list(corpora)) as space:
        for name, corpus in corpora.items():
            _upload(space, name, corpus.lines)
        started = perf_counter()
        events, steps = _ingest()
        seconds = perf_counter() - started
    expected = sum(len(corpus.lines) for corpus in corpora.values())
    if events != expected:
        raise RuntimeError(f"{events} of {expected} lines became events")
    return seconds, steps


def drain3_seconds(corpora: dict[str, Corpus]) -> float:
    """Seconds that drain3 takes to mine the same lines."""
    return sum(
        mine_with("drain3", corpus.messages.to_list(), keep=False).seconds
        for corpus in corpora.values()
    )


def _ingest() -> tuple[int, dict[str, float]]:
    """One run of the steps, over all sources: the events published, and seconds of each step."""
    from include.ingest import pipeline
    from include.workspace import open_workspace

    space, steps, since = open_workspace(), {}, perf_counter()

    def lap(step: str) -> None:
        nonlocal since
        steps[step], since = perf_counter() - since, perf_counter()

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        batches = pipeline.discover_batches(space, None)
        lap("discover")
        staged = list(pool.map(_step, ["stage_batch"] * len(batches), batches))
        lap("stage")
        with ThreadPoolExecutor(1) as beside:
            set_aside = beside.submit(pipeline.validate_batches, space, staged)
            learnt = pipeline.learn_templates(space, staged)
            written = list(pool.map(_step, ["write_batch"] * len(learnt), learnt))
            lap("learn, write")
        lap("wait for validate")
    events = pipeline.publish_batches(space, written, set_aside.result())
    lap("publish")
    pipeline.clear_staging(space)
    lap("clear")
    return events, steps


def _step(name: str, address: dict[str, Any]) -> Any:
    """Runs in a process of the pool."""
    from include.ingest import pipeline
    from include.workspace import open_workspace

    return getattr(pipeline, name)(open_workspace(), **address)


@contextmanager
def _workspace_of(names: list[str]) -> Iterator[Any]:
    """A workspace with these sources, on a stack of its own that is gone afterwards."""
    from include.settings import get_settings
    from include.workspace import open_workspace

    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="loganalyzer-") as folder:
        sources = Path(folder) / "sources"
        sources.mkdir()
        for name in names:
            text = f"name: {name}\nformat: {name}\nwindowing: {SOURCES[name]}\n"
            (sources / f"{name}.yaml").write_text(text)
        stack = Stack(Path(folder) / "stack")
        try:
            stack.up(only={"postgres", "gateway"})
            os.environ.update(stack.environment(), LOGANALYZER_SOURCES_PATH=str(sources))
            get_settings.cache_clear()
            open_workspace.cache_clear()
            yield open_workspace()
        finally:
            stack.down()
            os.environ.clear()
            os.environ.update(before)
            get_settings.cache_clear()
            open_workspace.cache_clear()


def _upload(space: Any, name: str, lines: pl.Series) -> None:
    for number, start in enumerate(range(0, len(lines), OBJECT_LINES)):
        text = "\n".join(lines.slice(start, OBJECT_LINES).to_list()) + "\n"
        data = gzip.compress(text.encode(), compresslevel=6, mtime=0)
        space.store.put_bytes(space.settings.bucket_logs, f"{name}/{number:04}.log.gz", data)
