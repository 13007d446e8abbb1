"""Log files on disk as windows, without a stack: for `loganalyzer evaluate` and the benchmarks.

What the pipeline does hour after hour with objects is done here in memory and in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from include.ingest.decode import UnreadableObject, read_lines
from include.ingest.parse import parse_chunks
from include.lake.schema import PARSED_SCHEMA, QUARANTINE_SCHEMA
from include.sources import LogSource
from ml.splits import Split
from ml.templates import Batch, Catalogue, count_shapes, numbers_of
from ml.windows import DAY, MICROSECOND, Windows, closed_windows

CHUNK_LINES = 250_000
ADDRESS = ["object_key", "line_number"]
NO_LINES = pl.DataFrame(schema={"object_key": pl.String, "line_number": pl.Int64})


@dataclass(frozen=True, slots=True)
class LogFiles:
    """events: the columns of PARSED_SCHEMA, in order of time; `object_key` is the path as given.

    quarantined: the columns of QUARANTINE_SCHEMA.
    """

    events: pl.DataFrame
    quarantined: pl.DataFrame


def read_files(paths: Sequence[Path], source: LogSource) -> LogFiles:
    """Raises UnreadableObject, which names the file, for damaged compression."""
    events = [pl.DataFrame(PARSED_SCHEMA.empty_table())]
    quarantined = [pl.DataFrame(QUARANTINE_SCHEMA.empty_table())]
    for path in paths:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        try:
            with path.open("rb") as stream:
                for chunk in parse_chunks(stream, source, str(path), written, CHUNK_LINES):
                    events.append(chunk.events)
                    quarantined.append(chunk.quarantined)
        except UnreadableObject as error:
            raise UnreadableObject(f"{path}: {error}") from error
    in_order = pl.concat(events).sort("event_time", *ADDRESS)
    return LogFiles(in_order, pl.concat(quarantined))


def lines_matching(paths: Sequence[Path], pattern: str) -> pl.DataFrame:
    """The addresses (`object_key`, `line_number`) of the raw lines that match an expression."""
    found = [NO_LINES]
    for path in paths:
        first = 1
        with path.open("rb") as stream:
            for lines in read_lines(stream, CHUNK_LINES):
                numbers = lines.str.contains(pattern).arg_true().cast(pl.Int64) + first
                address = pl.lit(str(path)).alias("object_key")
                found.append(pl.select(address, line_number=numbers))
                first += len(lines)
    return pl.concat(found)


def events_at(files: LogFiles, lines: pl.DataFrame) -> pl.DataFrame:
    """The addresses of the events that the lines (`object_key`, `line_number`) belong to: a line
    that starts no record belongs to the one before it, a quarantined line to none."""
    starts = files.events.select(*ADDRESS, event_line="line_number").sort(ADDRESS)
    return (
        lines.join(files.quarantined, on=ADDRESS, how="anti")
        .sort(ADDRESS)
        .join_asof(starts, on="line_number", by="object_key", check_sortedness=False)
        .drop_nulls("event_line")
        .select("object_key", line_number="event_line")
        .unique()
    )


def windows_at(files: LogFiles, windows: Windows, lines: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Which windows of the files hold one of the lines (`object_key`, `line_number`)."""
    held = windows.events.select(ADDRESS).with_columns(window=windows.rows_of_events)
    found = held.join(events_at(files, lines), on=ADDRESS, how="semi")
    return np.isin(np.arange(len(windows)), found["window"].to_numpy())


def cut_windows(files: LogFiles, source: LogSource) -> Windows:
    """All windows of the files, those too that are still open at the end of the log.

    `template_id` is the number of the event in `files.events`, as text, until `with_templates`
    puts its template there.
    """
    rule = source.windowing.rule
    number = pl.int_range(pl.len()).cast(pl.String)
    events = files.events.with_columns(template_id=number)
    if events.is_empty():
        first = last = datetime(1970, 1, 1, tzinfo=UTC)
    else:
        first, last = events["event_time"][0], events["event_time"][-1]
    return closed_windows(events, rule, first - DAY, last + rule.lookback + MICROSECOND)


def with_templates(
    split: Split, train_messages: pl.Series, test_messages: pl.Series, source: LogSource
) -> Split:
    """A split of windows of `cut_windows`, with templates that know nothing of what is later.

    The messages of the training part are mined alone. Then the catalogue is extended as the
    pipeline extends it: by the messages of one hour after the other, each matched at once.

    train_messages, test_messages: `message` of the files that the windows of each part are from.
    """
    numbers = _event_numbers(split.train)["number"]
    batch = Batch(train_messages.gather(numbers))
    catalogue = Catalogue.empty(source.name, source.masks)
    catalogue = catalogue.learn(count_shapes(batch, source.masks))
    train = _matched(split.train, _table(numbers, batch, catalogue), catalogue)
    by_hour = _event_numbers(split.test).group_by(
        pl.col("event_time").dt.truncate("1h"), maintain_order=True
    )
    found = []
    for _, of_hour in by_hour:
        batch = Batch(test_messages.gather(of_hour["number"]))
        catalogue = catalogue.learn(count_shapes(batch, source.masks))
        found.append(_table(of_hour["number"], batch, catalogue))
    return replace(split, train=train, test=_matched(split.test, pl.concat(found), catalogue))


def _event_numbers(windows: Windows) -> pl.DataFrame:
    """`number` and `event_time` of the events of windows, each once, in order of time."""
    number = pl.col("template_id").cast(pl.Int64).alias("number")
    return windows.events.select(number, "event_time").unique("number").sort("number")


def _table(event_numbers: pl.Series, batch: Batch, catalogue: Catalogue) -> pl.DataFrame:
    """`template_id`, an event's number as text; `found`, its template; `numbers`, of its
    parameters."""
    matched = catalogue.match(batch)
    return pl.DataFrame(
        {
            "template_id": event_numbers.cast(pl.String),
            "found": matched["template_id"],
            "numbers": numbers_of(matched["parameters"]),
        }
    )


def _matched(windows: Windows, table: pl.DataFrame, catalogue: Catalogue) -> Windows:
    """The windows with templates in place of the numbers of their events."""
    events = (
        windows.events.join(table, on="template_id", how="left", maintain_order="left")
        .with_columns(template_id="found")
        .drop("found")
    )
    texts = {template_id: catalogue.text(template_id) for template_id in catalogue.templates}
    return replace(windows, events=events, texts=texts)
