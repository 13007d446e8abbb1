"""The second reading of a batch: events with their template ids, into the lake."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from include.database import ledger
from include.ingest.batches import Batch, Manifest, ObjectAccount
from include.ingest.stage import events_of
from include.lake.schema import EVENT_SCHEMA, GROWING, REPEATING
from include.objects import ReplacedObject
from include.workspace import Workspace
from ml.templates import Catalogue

log = logging.getLogger(__name__)

# Requests under way at once: the parts are small, and the wait is the network's.
WRITERS = 8
# What is known of the written events of one object, hour and template. Events without a template
# are counted under a null, and not in the lake.
WRITTEN_SCHEMA = pl.Schema(
    {
        "object_id": pl.String(),
        "hour_utc": pl.Datetime("us", "UTC"),
        "template_id": pl.String(),
        "count": pl.Int64(),
        "without_parameters": pl.Int64(),
        "first_seen_utc": pl.Datetime("us", "UTC"),
        "last_seen_utc": pl.Datetime("us", "UTC"),
        "example_line_number": pl.Int64(),
    }
)


def write_events(workspace: Workspace, manifest: Manifest, catalogue: Catalogue) -> None:
    """Write the events of a batch as Parquet, one part an hour, and what is in the parts.

    Readers see none of it until the ledger names the parts. Their names follow from the batch
    alone, so that a second run replaces them by the same.
    """
    batch, bucket = manifest.batch, workspace.settings.bucket_lake
    source = workspace.source(batch.source)
    parts = _Parts(workspace.settings.chunk_lines)
    written = [pl.DataFrame(schema=WRITTEN_SCHEMA)]
    for account in manifest.readable:
        member = account.object
        try:
            for chunk in events_of(workspace, source, member):
                events = chunk.events.hstack(catalogue.match(chunk.messages))
                events = events.with_columns(hour_utc=pl.col("event_time").dt.truncate("1h"))
                written.append(_counted(events, member.object_id))
                parts.add(events.drop_nulls(["template_id", "parameters"]))
        except ReplacedObject as error:
            # Its events are missing, which the check of what was written refuses.
            log.warning("%s", error)
    packed = {part_key(batch, hour): data for hour, data in parts.packed().items()}
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda key: workspace.store.put_bytes(bucket, key, packed[key]), packed))
    stored = BytesIO()
    _merged(written).write_parquet(stored)
    workspace.store.put_bytes(bucket, written_key(batch), stored.getvalue())


def load_written(workspace: Workspace, batch: Batch) -> pl.DataFrame:
    """What was written of a batch: the columns of WRITTEN_SCHEMA."""
    data = workspace.store.get_bytes(workspace.settings.bucket_lake, written_key(batch))
    return pl.read_parquet(BytesIO(data))


def written_key(batch: Batch) -> str:
    return f"{batch.folder}written.parquet"


def part_key(batch: Batch, hour: datetime) -> str:
    folder = f"events/source={batch.source}/date={hour:%Y-%m-%d}/hour={hour:%H}"
    return f"{folder}/{batch.batch_id}.parquet"


def checked_rows(accounts: list[ObjectAccount], written: pl.DataFrame) -> list[dict[str, object]]:
    """The table of the suite `events`, one row an object."""
    in_lake = pl.col("template_id").is_not_null()
    found = written.group_by("object_id").agg(
        pl.col("count").filter(in_lake).sum(),
        pl.col("count").filter(~in_lake).sum().alias("without_template"),
        pl.col("without_parameters").sum(),
    )
    of_object = {object_id: counts for object_id, *counts in found.iter_rows()}
    rows: list[dict[str, object]] = []
    for account in accounts:
        object_id = account.object.object_id
        count, without_template, without_parameters = of_object.get(object_id, (0, 0, 0))
        rows.append(
            {
                "object_id": object_id,
                "events_missing": abs(account.events - count),
                "events_without_template": without_template,
                "events_without_parameters": without_parameters,
            }
        )
    return rows


def lake_parts(batch: Batch, written: pl.DataFrame) -> list[ledger.LakePart]:
    """Which events of which object are in which part."""
    counts = written.group_by("object_id", "hour_utc").agg(pl.col("count").sum())
    return [
        ledger.LakePart(part_key(batch, hour), object_id, batch.source, hour, events)
        for object_id, hour, events in counts.sort("object_id", "hour_utc").iter_rows()
    ]


def template_counts(written: pl.DataFrame) -> list[ledger.TemplateCount]:
    counts = _merged([written], "object_id", "template_id").drop("without_parameters")
    return [ledger.TemplateCount(**row) for row in counts.iter_rows(named=True)]


class _Parts:
    """One Parquet file for each hour of a batch's events, in memory: what bounds a batch bounds
    them too. A file grows by a row group whenever `lines` events are held."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._held: dict[datetime, list[pa.Table]] = {}
        self._held_lines = 0
        self._files: dict[datetime, BytesIO] = {}
        self._writers: dict[datetime, pq.ParquetWriter] = {}

    def add(self, events: pl.DataFrame) -> None:
        """Take events with their `hour_utc`."""
        if not events["hour_utc"].is_sorted():
            events = events.sort("hour_utc", maintain_order=True)
        table = events.select(EVENT_SCHEMA.names).to_arrow().cast(EVENT_SCHEMA)
        start = 0
        for length, hour in events["hour_utc"].rle().struct.unnest().iter_rows():
            self._held.setdefault(hour, []).append(table.slice(start, length))
            start += length
        self._held_lines += len(events)
        if self._held_lines >= self._lines:
            self._flush()

    def packed(self) -> dict[datetime, bytes]:
        """The files, by hour."""
        self._flush()
        for writer in self._writers.values():
            writer.close()
        return {hour: file.getvalue() for hour, file in sorted(self._files.items())}

    def _flush(self) -> None:
        for hour, tables in self._held.items():
            if hour not in self._writers:
                self._files[hour] = BytesIO()
                self._writers[hour] = _parquet_writer(self._files[hour])
            self._writers[hour].write_table(pa.concat_tables(tables))
        self._held.clear()
        self._held_lines = 0


def _parquet_writer(file: BytesIO) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        EVENT_SCHEMA,
        compression="zstd",
        use_dictionary=REPEATING,
        column_encoding=dict.fromkeys(GROWING, "DELTA_BINARY_PACKED"),
        # The least and the greatest message of a row group help no reader.
        write_statistics=["event_time"],
    )


def _counted(events: pl.DataFrame, object_id: str) -> pl.DataFrame:
    counts = events.group_by("hour_utc", "template_id").agg(
        count=pl.len().cast(pl.Int64),
        without_parameters=pl.col("parameters").null_count().cast(pl.Int64),
        first_seen_utc=pl.col("event_time").min(),
        last_seen_utc=pl.col("event_time").max(),
        example_line_number=pl.col("line_number").min(),
    )
    return counts.select(pl.lit(object_id).alias("object_id"), pl.exclude("object_id"))


def _merged(counts: list[pl.DataFrame], *keys: str) -> pl.DataFrame:
    """The counts of chunks, added up."""
    keys = keys or ("object_id", "hour_utc", "template_id")
    return (
        pl.concat(counts)
        .group_by(keys)
        .agg(
            pl.col("count", "without_parameters").sum(),
            pl.col("first_seen_utc").min(),
            pl.col("last_seen_utc").max(),
            pl.col("example_line_number").min(),
        )
        .sort(keys)
    )
