"""The first half of ingest: objects in, parsed events and distinct message shapes out."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from include.ingest.batches import Batch, BatchObject, Manifest, ObjectAccount, save_manifest
from include.ingest.decode import UnreadableObject
from include.ingest.parse import ParsedChunk, parse_chunks
from include.lake.schema import PARSED_SCHEMA, QUARANTINE_SCHEMA
from include.sources import LogSource
from include.workspace import Workspace
from ml.templates import count_shapes, merge_shapes

log = logging.getLogger(__name__)


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
        self._events = pq.ParquetWriter(self.events_path, PARSED_SCHEMA, compression="zstd")
        self._quarantine = pq.ParquetWriter(
            self.quarantine_path, QUARANTINE_SCHEMA, compression="zstd"
        )

    def add(self, chunk: ParsedChunk) -> None:
        events, quarantined = chunk.events, chunk.quarantined
        self._events.write_table(_table(events, PARSED_SCHEMA))
        self._quarantine.write_table(_table(quarantined, QUARANTINE_SCHEMA))
        self.shapes = merge_shapes([self.shapes, count_shapes(events["message"], self.masks)])
        reasons = dict(quarantined["reason"].value_counts().rows())
        before = self.account
        times = [before.first_event_utc, before.last_event_utc, *_extremes(events)]
        known = [time for time in times if time is not None]
        self.account = before.model_copy(
            update={
                "lines_read": before.lines_read + chunk.lines_read,
                "events": before.events + len(events),
                "lines_continued": before.lines_continued + chunk.lines_continued,
                "lines_quarantined": before.lines_quarantined + len(quarantined),
                "quarantine_reasons": {
                    reason: before.quarantine_reasons.get(reason, 0) + reasons.get(reason, 0)
                    for reason in sorted(before.quarantine_reasons.keys() | reasons.keys())
                },
                "first_event_utc": min(known, default=None),
                "last_event_utc": max(known, default=None),
            }
        )

    def close(self) -> None:
        self._events.close()
        self._quarantine.close()


def _extremes(events: pl.DataFrame) -> tuple[object, object]:
    return events["event_time"].min(), events["event_time"].max()


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return frame.select(schema.names).to_arrow().cast(schema)
