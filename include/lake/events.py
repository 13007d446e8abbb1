"""Reading the events of a source out of the lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from typing import TypeVar

import polars as pl
import pyarrow.parquet as pq

from include.database import ledger
from include.database.catalogue import template_redirects, template_texts
from include.lake.schema import EVENT_SCHEMA
from include.sources import LogSource
from include.workspace import Workspace
from ml.templates import numbers_of
from ml.windows import EVENT_COLUMNS, NUMBERS, Windows, closed_windows

T = TypeVar("T")

WINDOW_COLUMNS = (*EVENT_COLUMNS, NUMBERS)
# Requests under way at once: the parts are small, and the wait is the network's.
READERS = 8


def read_events(
    workspace: Workspace,
    source: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str] = WINDOW_COLUMNS,
) -> pl.DataFrame:
    """The events of a source with start <= event_time < end, in no particular order.

    columns: of the lake, and `NUMBERS`, which are made of `parameters` part by part. Only what the
    ledger says is published is seen.
    """
    frames = for_each_part(workspace, source, start, end, lambda events: events, columns)
    return pl.concat([no_events(columns), *frames])


def for_each_part(
    workspace: Workspace,
    source: str,
    start: datetime,
    end: datetime,
    use: Callable[[pl.DataFrame], T],
    columns: Sequence[str] = WINDOW_COLUMNS,
) -> list[T]:
    """What `use` makes of the same events, those of one part of the lake at a time; several threads
    call it at once."""
    with workspace.engine.connect() as conn:
        parts = ledger.parts_between(conn, source, start, end)
    stored = _stored(columns)

    def read(part: tuple[str, list[str]]) -> T:
        path, object_keys = part
        within = pl.col("event_time").is_between(start, end, closed="left")
        events = _read_part(workspace, path, object_keys, [*stored, "event_time"])
        return use(_with_numbers(events.filter(within).select(stored), columns))

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, parts.items()))


def no_events(columns: Sequence[str] = WINDOW_COLUMNS) -> pl.DataFrame:
    """A frame as `read_events` gives it, without a row."""
    empty = pl.DataFrame(EVENT_SCHEMA.empty_table().select(_stored(columns)))
    return _with_numbers(empty, columns)


def _stored(columns: Sequence[str]) -> list[str]:
    return ["parameters" if name == NUMBERS else name for name in columns]


def _with_numbers(events: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    if NUMBERS not in columns:
        return events
    return events.with_columns(numbers_of(events["parameters"])).select(columns)


def events_at(
    workspace: Workspace, source: str, addresses: Sequence[tuple[str, int]], columns: Sequence[str]
) -> pl.DataFrame:
    """Columns of published events, with `object_key` and `line_number`, where they start.

    An address where no published event starts is left out.
    """
    wanted = pl.DataFrame(
        addresses, schema={"object_key": pl.String, "line_number": pl.Int64}, orient="row"
    ).unique()
    with workspace.engine.connect() as conn:
        parts = ledger.parts_of_objects(conn, source, set(wanted["object_key"]))
    stored = ["object_key", "line_number", *columns]

    def read(part: tuple[str, list[str]]) -> pl.DataFrame:
        events = _read_part(workspace, *part, stored)
        return events.join(wanted, on=["object_key", "line_number"], how="semi")

    with ThreadPoolExecutor(READERS) as pool:
        frames = list(pool.map(read, parts.items()))
    return pl.concat([pl.DataFrame(EVENT_SCHEMA.empty_table().select(stored)), *frames])


def messages_at(
    workspace: Workspace, source: str, addresses: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], str]:
    """The messages of published events, by the object key and line number where they start.

    An address where no published event starts is left out.
    """
    found = events_at(workspace, source, addresses, ["message"])
    return {(key, line): message for key, line, message in found.rows()}


def _read_part(
    workspace: Workspace, path: str, object_keys: list[str], columns: list[str]
) -> pl.DataFrame:
    """The events of these objects in a part: others in it may be superseded or refused."""
    data = workspace.store.get_bytes(workspace.settings.bucket_lake, path)
    needed = list(dict.fromkeys([*columns, "object_key"]))
    table = pq.read_table(BytesIO(data), columns=needed, schema=EVENT_SCHEMA)
    return pl.DataFrame(table).filter(pl.col("object_key").is_in(object_keys))


def read_windows(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime
) -> Windows:
    """The windows of a source that close after `start` and not after `end`, with all of their
    events."""
    rule = source.windowing.rule
    events = read_events(workspace, source.name, start - rule.lookback, end)
    return cut_windows(workspace, source, events, start, end)


def cut_windows(
    workspace: Workspace, source: LogSource, events: pl.DataFrame, start: datetime, end: datetime
) -> Windows:
    """The same of events that are read already; templates go by the ids that they have today."""
    with workspace.engine.connect() as conn:
        texts = template_texts(conn, source.name)
        redirects = template_redirects(conn, source.name)
    events = events.with_columns(pl.col("template_id").replace(redirects))
    return replace(closed_windows(events, source.windowing.rule, start, end), texts=texts)


def windows_within(
    workspace: Workspace,
    source: LogSource,
    start: datetime,
    end: datetime,
    known_until: datetime,
) -> Windows:
    """The windows whose events all lie in start <= event_time < end, for training.

    They are cut out of everything known up to `known_until`, so that a window that goes on after
    `end` is left out and not truncated there, and one that is still open is left out too.
    """
    closed_by = min(end + source.windowing.rule.lookback, known_until)
    windows = read_windows(workspace, source, start, closed_by)
    inside = (windows.spans["starts_at"] >= start) & (windows.spans["ends_at"] < end)
    return windows.where(inside.to_numpy())
