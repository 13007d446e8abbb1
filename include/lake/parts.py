"""A night in parts: windows of any number of events, of a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import polars as pl
import pyarrow as pa

from include.database import ledger
from include.lake.events import cut_windows, for_each_part, no_events, read_windows
from include.sources import LogSource
from include.workspace import Workspace
from ml.windows import SessionRule, TimeRule, Windows

# So many events, or few more, are in memory at once, however many a night has.
EVENTS_AT_ONCE = 1_000_000
COMPATIBLE = pl.CompatLevel.oldest()


def windows_in_parts(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime
) -> Iterator[Windows]:
    """The windows of `read_windows`, of about `EVENTS_AT_ONCE` events at a time: sessions by their
    keys, windows of time in spans of time. Those of a number of events come at once, as each rests
    on all that came before it on its day."""
    rule = source.windowing.rule
    with workspace.engine.connect() as conn:
        volumes = ledger.hourly_volumes(conn, source.name, start - rule.lookback, end)
    parts = -(-sum(volumes.values()) // EVENTS_AT_ONCE)
    if parts > 1 and isinstance(rule, SessionRule):
        yield from _by_session(workspace, source, start, end, parts)
    elif parts > 1 and isinstance(rule, TimeRule):
        span = (end - start) / parts
        bounds = [*(start + n * span for n in range(parts)), end]
        for since, until in pairwise(bounds):
            yield read_windows(workspace, source, since, until)
    else:
        yield read_windows(workspace, source, start, end)


def _by_session(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime, parts: int
) -> Iterator[Windows]:
    """Each part of the lake is read once, and what it holds of each share of the sessions goes to a
    file of that share: to read all of it for each would cost as much again as there are shares."""
    lookback = source.windowing.rule.lookback
    with Shares(parts, no_events()) as shares:
        for_each_part(workspace, source.name, start - lookback, end, shares.add_by_session)
        for events in shares.read():
            yield cut_windows(workspace, source, events, start, end)


class Shares:
    """Events in a file for each of so many shares; several threads may add at once.

    like: a frame with the columns of the events.
    """

    def __init__(self, number: int, like: pl.DataFrame) -> None:
        self._folder = TemporaryDirectory(prefix="loganalyzer-")
        self._paths = [Path(self._folder.name, f"{share}.arrow") for share in range(number)]
        schema = like.to_arrow(compat_level=COMPATIBLE).schema
        self._writers = [pa.ipc.new_stream(str(path), schema) for path in self._paths]
        self._lock = Lock()

    def __enter__(self) -> Shares:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def add(self, share: int, events: pl.DataFrame) -> None:
        table = events.to_arrow(compat_level=COMPATIBLE)
        with self._lock:
            self._writers[share].write_table(table)

    def add_by_session(self, events: pl.DataFrame) -> None:
        """To the shares of their sessions; what is of none is in no window."""
        shares = events.with_columns(share=pl.col("session_key").hash() % len(self._paths))
        of_share = shares.drop_nulls("share").partition_by("share", as_dict=True, include_key=False)
        for (share,), own in of_share.items():
            self.add(share, own)

    def read(self) -> Iterator[pl.DataFrame]:
        """The events of each share; nothing is added any more."""
        for writer in self._writers:
            writer.close()
        for path in self._paths:
            with pa.ipc.open_stream(str(path)) as stream:
                events = pl.DataFrame(stream.read_all())
            yield events
            path.unlink()
