"""Reading the events of a source out of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from io import BytesIO

import polars as pl
import pyarrow.parquet as pq

from include.database import ledger
from include.database.catalogue import template_redirects, template_texts
from include.lake.schema import EVENT_SCHEMA
from include.sources import LogSource
from include.workspace import Workspace
from ml.templates import numbers_of
from ml.windows import (
    EVENT_COLUMNS,
    NUMBERS,
    CountRule,
    SessionRule,
    TimeRule,
    Windows,
    closed_windows,
)

# Requests under way at once: the parts are small, and the wait is the network's.
READERS = 8
# So many events, or few more, are in memory at once, however many a night has.
EVENTS_AT_ONCE = 1_000_000


def read_events(
    workspace: Workspace,
    source: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str] = (*EVENT_COLUMNS, NUMBERS),
    chosen: pl.Expr | None = None,
) -> pl.DataFrame:
    """The events of a source with start <= event_time < end, in no particular order.

    columns: of the lake, and `NUMBERS`, which are made of `parameters` part by part. chosen: which
    of the events to read, by what is stored of them; all where it is None. Only what the ledger
    says is published is seen.
    """
    with workspace.engine.connect() as conn:
        parts = ledger.parts_between(conn, source, start, end)
    stored = ["parameters" if name == NUMBERS else name for name in columns]

    def read(part: tuple[str, list[str]]) -> pl.DataFrame:
        path, object_keys = part
        within = pl.col("event_time").is_between(start, end, closed="left")
        if chosen is not None:
            within &= chosen
        events = _read_part(workspace, path, object_keys, [*stored, "event_time"])
        return with_numbers(events.filter(within).select(stored))

    def with_numbers(events: pl.DataFrame) -> pl.DataFrame:
        if NUMBERS not in columns:
            return events
        return events.with_columns(numbers_of(events["parameters"])).select(columns)

    with ThreadPoolExecutor(READERS) as pool:
        frames = list(pool.map(read, parts.items()))
    empty = pl.DataFrame(EVENT_SCHEMA.empty_table().select(stored))
    return pl.concat([with_numbers(empty), *frames])


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
    workspace: Workspace,
    source: LogSource,
    start: datetime,
    end: datetime,
    chosen: pl.Expr | None = None,
) -> Windows:
    """The windows of a source that close after `start` and not after `end`, with all of their
    events. chosen: see `read_events`."""
    rule = source.windowing.rule
    events = read_events(workspace, source.name, start - rule.lookback, end, chosen=chosen)
    with workspace.engine.connect() as conn:
        texts = template_texts(conn, source.name)
        redirects = template_redirects(conn, source.name)
    events = events.with_columns(pl.col("template_id").replace(redirects))
    return replace(closed_windows(events, rule, start, end), texts=texts)


def windows_in_parts(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime
) -> Iterator[Windows]:
    """The same windows, of about `EVENTS_AT_ONCE` events at a time: sessions by their keys, windows
    of time in spans of time. Those of a number of events come at once, as each rests on all that
    came before it on its day."""
    rule = source.windowing.rule
    with workspace.engine.connect() as conn:
        volumes = ledger.hourly_volumes(conn, source.name, start - rule.lookback, end)
    parts = max(1, -(-sum(volumes.values()) // EVENTS_AT_ONCE))
    for n in range(parts):
        match rule:
            case SessionRule():
                chosen = pl.col("session_key").hash() % parts == n
                yield read_windows(workspace, source, start, end, chosen if parts > 1 else None)
            case TimeRule():
                span = (end - start) / parts
                until = end if n == parts - 1 else start + (n + 1) * span
                yield read_windows(workspace, source, start + n * span, until)
            case CountRule():
                if n == 0:
                    yield read_windows(workspace, source, start, end)


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
