"""The first half of ingest: objects in, parsed events and distinct message shapes out."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from include.ingest.batches import Batch, BatchObject, Manifest, ObjectAccount, save_manifest
from include.ingest.decode import UnreadableObject
from include.ingest.parse import ParsedChunk, parse_chunks
from include.ingest.times import CLOCK_SKEW
from include.lake.schema import PARSED_SCHEMA, QUARANTINE_SCHEMA, REPEATING_PARSED
from include.sources import LogSource
from include.workspace import Workspace
from ml.templates import count_shapes, merge_shapes

log = logging.getLogger(__name__)

Key = TypeVar("Key", str, datetime)


def read_batch(workspace: Workspace, batch: Batch) -> Manifest:
    """Read every object of a batch into the staging area and say what was read.

    An object that cannot be read to its end is named in the manifest with the reason, and nothing
    of it is staged. Memory is bounded by `settings.chunk_lines`, whatever the objects' size.
    """
    source, store = workspace.source(batch.source), workspace.store
    settings = workspace.settings
    shapes = [count_shapes(pl.Series("message", [], pl.String), source.masks)]
    accounts = []
    with tempfile.TemporaryDirectory() as folder:
        for member in batch.objects:
            staging = _ObjectStaging(member, source, Path(folder))
            try:
                with store.open(settings.bucket_logs, member.key) as stream:
                    for chunk in parse_chunks(
                        stream, source, member.key, member.last_modified_utc, settings.chunk_lines
                    ):
                        staging.add(chunk)
            except UnreadableObject as error:
                log.warning("%s is set aside: %s", member.key, error)
                accounts.append(ObjectAccount(object=member, failure=str(error)))
                continue
            finally:
                staging.close()
            store.put_file(settings.bucket_lake, staged_key(batch, member), staging.events_path)
            if staging.account.lines_quarantined:
                key = quarantine_key(source.name, member)
                store.put_file(settings.bucket_lake, key, staging.quarantine_path)
            accounts.append(staging.account)
            shapes.append(staging.shapes)
        shapes_path = Path(folder) / "shapes.parquet"
        merge_shapes(shapes).write_parquet(shapes_path)
        store.put_file(settings.bucket_lake, shapes_key(batch), shapes_path)
    manifest = Manifest(batch=batch, accounts=accounts)
    save_manifest(workspace, manifest)
    return manifest


def staged_key(batch: Batch, member: BatchObject) -> str:
    return f"{batch.folder}{member.object_id}.parquet"


def shapes_key(batch: Batch) -> str:
    return f"{batch.folder}shapes.parquet"


def quarantine_key(source: str, member: BatchObject) -> str:
    """Where the lines of an object that did not parse stay, with the reason for each."""
    return f"quarantine/source={source}/{member.object_id}.parquet"


class _ObjectStaging:
    """The files and the account of one object, growing chunk by chunk."""

    def __init__(self, member: BatchObject, source: LogSource, folder: Path) -> None:
        self.account = ObjectAccount(object=member)
        self.masks = source.masks
        self.shapes = count_shapes(pl.Series("message", [], pl.String), self.masks)
        self.events_path = folder / f"{member.object_id}.parquet"
        self.quarantine_path = folder / f"{member.object_id}.quarantine.parquet"
        # Read once, by the next task, and deleted: speed before size.
        self._events = pq.ParquetWriter(
            self.events_path, PARSED_SCHEMA, compression="lz4", use_dictionary=REPEATING_PARSED
        )
        self._quarantine = pq.ParquetWriter(
            self.quarantine_path, QUARANTINE_SCHEMA, compression="zstd"
        )

    def add(self, chunk: ParsedChunk) -> None:
        events, quarantined = chunk.events, chunk.quarantined
        self._events.write_table(_table(events, PARSED_SCHEMA))
        self._quarantine.write_table(_table(quarantined, QUARANTINE_SCHEMA))
        self.shapes = merge_shapes([self.shapes, count_shapes(events["message"], self.masks)])
        self.account = _grown(self.account, chunk)

    def close(self) -> None:
        self._events.close()
        self._quarantine.close()


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


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return frame.select(schema.names).to_arrow().cast(schema)
