"""The first reading of a batch: what is in each object, and the distinct message shapes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import TypeVar

import polars as pl
import pyarrow.parquet as pq

from include.ingest.batches import Batch, BatchObject, Manifest, ObjectAccount, save_manifest
from include.ingest.decode import UnreadableObject
from include.ingest.parse import ParsedChunk, parse_chunks
from include.ingest.times import CLOCK_SKEW
from include.lake.schema import QUARANTINE_SCHEMA
from include.objects import ReplacedObject
from include.sources import LogSource
from include.workspace import Workspace
from ml.templates import count_shapes, merge_shapes

log = logging.getLogger(__name__)

Key = TypeVar("Key", str, datetime)


def read_batch(workspace: Workspace, batch: Batch) -> Manifest:
    """Read every object of a batch and say what was read; quarantined lines and the distinct
    shapes are stored, the events are not: `write_events` reads the objects again.

    An object that cannot be read to its end is named in the manifest with the reason, and its
    shapes do not count. Memory is bounded by `settings.chunk_lines`, whatever the objects' size.
    """
    source, store = workspace.source(batch.source), workspace.store
    bucket = workspace.settings.bucket_lake
    shapes = [count_shapes(pl.Series("message", [], pl.String), source.masks)]
    accounts = []
    for member in batch.objects:
        reading = _ObjectReading(member, source)
        try:
            for chunk in events_of(workspace, source, member, find_sessions=False):
                reading.add(chunk)
        except (UnreadableObject, ReplacedObject) as error:
            log.warning("%s is set aside: %s", member.key, error)
            accounts.append(ObjectAccount(object=member, failure=str(error)))
            continue
        if reading.account.lines_quarantined:
            store.put_bytes(bucket, quarantine_key(source.name, member), reading.quarantine())
        accounts.append(reading.account)
        shapes.append(reading.shapes)
    stored = BytesIO()
    merge_shapes(shapes).write_parquet(stored)
    store.put_bytes(bucket, shapes_key(batch), stored.getvalue())
    manifest = Manifest(batch=batch, accounts=accounts)
    save_manifest(workspace, manifest)
    return manifest


def events_of(
    workspace: Workspace, source: LogSource, member: BatchObject, *, find_sessions: bool = True
) -> Iterator[ParsedChunk]:
    """The events of an object version, chunk by chunk; see `parse_chunks`.

    Raises UnreadableObject where it is damaged, ReplacedObject where it is not there any more.
    """
    settings = workspace.settings
    with workspace.store.open(settings.bucket_logs, member.key, member.etag) as stream:
        yield from parse_chunks(
            stream,
            source,
            member.key,
            member.last_modified_utc,
            settings.chunk_lines,
            find_sessions=find_sessions,
        )


def shapes_key(batch: Batch) -> str:
    return f"{batch.folder}shapes.parquet"


def quarantine_key(source: str, member: BatchObject) -> str:
    """Where the lines of an object that did not parse stay, with the reason for each."""
    return f"quarantine/source={source}/{member.object_id}.parquet"


class _ObjectReading:
    """The account of one object, its shapes and its quarantine, growing chunk by chunk."""

    def __init__(self, member: BatchObject, source: LogSource) -> None:
        self.account = ObjectAccount(object=member)
        self.masks = source.masks
        self.shapes = count_shapes(pl.Series("message", [], pl.String), self.masks)
        self._packed = BytesIO()
        self._quarantine = pq.ParquetWriter(self._packed, QUARANTINE_SCHEMA, compression="zstd")

    def add(self, chunk: ParsedChunk) -> None:
        if len(chunk.quarantined):
            rows = chunk.quarantined.select(QUARANTINE_SCHEMA.names)
            self._quarantine.write_table(rows.to_arrow().cast(QUARANTINE_SCHEMA))
        self.shapes = merge_shapes([self.shapes, count_shapes(chunk.messages, self.masks)])
        self.account = _grown(self.account, chunk)

    def quarantine(self) -> bytes:
        """The quarantined lines as Parquet; ends the reading."""
        self._quarantine.close()
        return self._packed.getvalue()


def _grown(account: ObjectAccount, chunk: ParsedChunk) -> ObjectAccount:
    """The account of an object with one more chunk of it read."""
    events, quarantined = chunk.events, chunk.quarantined
    time = events["event_time"]
    times = [account.first_event_utc, account.last_event_utc, time.min(), time.max()]
    known = [moment for moment in times if isinstance(moment, datetime)]
    hours = dict(time.dt.truncate("1h").value_counts().rows())
    future = time > account.object.last_modified_utc + CLOCK_SKEW
    return account.model_copy(
        update={
            "lines_read": account.lines_read + chunk.lines_read,
            "events": account.events + len(events),
            "lines_continued": account.lines_continued + chunk.lines_continued,
            "lines_quarantined": account.lines_quarantined + len(quarantined),
            "quarantine_reasons": _summed(
                account.quarantine_reasons, dict(quarantined["reason"].value_counts().rows())
            ),
            "severities": _summed(
                account.severities, dict(events["severity"].drop_nulls().value_counts().rows())
            ),
            "hourly_events": _summed(account.hourly_events, hours),
            "events_without_time": account.events_without_time + time.null_count(),
            "events_without_message": (
                account.events_without_message + events["message"].null_count()
            ),
            "events_in_the_future": account.events_in_the_future + int(future.sum()),
            "first_event_utc": min(known, default=None),
            "last_event_utc": max(known, default=None),
        }
    )


def _summed(one: dict[Key, int], other: dict[Key, int]) -> dict[Key, int]:
    total = Counter(one)
    total.update(other)
    return dict(sorted(total.items()))
