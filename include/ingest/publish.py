"""The second half of ingest: template ids onto staged events, and into the lake."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from include.database import ledger
from include.ingest.batches import Batch, ObjectAccount
from include.ingest.stage import staged_key
from include.lake.schema import EVENT_SCHEMA
from include.workspace import Workspace
from ml.templates import Catalogue


def write_events(
    workspace: Workspace, batch: Batch, accounts: list[ObjectAccount], catalogue: Catalogue
) -> tuple[list[ledger.LakePart], list[ledger.TemplateCount]]:
    """Write the events of these objects of a batch as Parquet partitions.

    Readers see none of it until the ledger names the parts. Their names follow from the object
    alone, so that a second run replaces them by the same.
    """
    parts: list[ledger.LakePart] = []
    counts: list[ledger.TemplateCount] = []
    store, bucket = workspace.store, workspace.settings.bucket_lake
    for account in accounts:
        object_id = account.object.object_id
        with tempfile.TemporaryDirectory() as folder:
            staged = Path(folder) / "staged.parquet"
            store.download(bucket, staged_key(batch, account.object), staged)
            partitions = _Partitions(Path(folder))
            seen = []
            for events in _with_templates(staged, catalogue, account):
                partitions.write(events)
                seen.append(_template_counts(events))
            partitions.close()
            for hour, (path, rows) in sorted(partitions.written.items()):
                address = part_key(batch.source, hour, object_id)
                store.put_file(bucket, address, path)
                parts.append(ledger.LakePart(address, object_id, batch.source, hour, rows))
        counts += [
            ledger.TemplateCount(object_id=object_id, **row)
            for row in _merged(seen).iter_rows(named=True)
        ]
    return parts, counts


def part_key(source: str, hour: datetime, object_id: str) -> str:
    return f"events/source={source}/date={hour:%Y-%m-%d}/hour={hour:%H}/{object_id}.parquet"


class _Partitions:
    """One Parquet file for each hour of an object's events, in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[datetime, tuple[Path, int]] = {}
        self._writers: dict[datetime, pq.ParquetWriter] = {}

    def write(self, events: pl.DataFrame) -> None:
        hours = events.with_columns(hour_utc=pl.col("event_time").dt.truncate("1h"))
        for (hour,), rows in hours.partition_by("hour_utc", as_dict=True).items():
            path = self.folder / f"{hour:%Y%m%dT%H}.parquet"
            if hour not in self._writers:
                self._writers[hour] = pq.ParquetWriter(path, EVENT_SCHEMA, compression="zstd")
            table = rows.select(EVENT_SCHEMA.names).to_arrow().cast(EVENT_SCHEMA)
            self._writers[hour].write_table(table)
            self.written[hour] = (path, self.written.get(hour, (path, 0))[1] + len(rows))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _with_templates(
    staged: Path, catalogue: Catalogue, account: ObjectAccount
) -> Iterator[pl.DataFrame]:
    """The staged events, a row group at a time, with `template_id` and `parameters`."""
    parquet = pq.ParquetFile(staged)
    for group in range(parquet.num_row_groups):
        events = pl.DataFrame(parquet.read_row_group(group))
        events = events.hstack(catalogue.match(events["message"]))
        unknown = events.filter(pl.col("template_id").is_null())
        if len(unknown):
            raise RuntimeError(
                f"{account.object.key} line {unknown['line_number'][0]}: no template matches a "
                "message that was mined in this run; the catalogue and the miner disagree"
            )
        yield events


def _template_counts(events: pl.DataFrame) -> pl.DataFrame:
    return events.group_by("template_id").agg(
        count=pl.len().cast(pl.Int64),
        first_seen_utc=pl.col("event_time").min(),
        last_seen_utc=pl.col("event_time").max(),
        example_line_number=pl.col("line_number").min(),
    )


def _merged(counts: list[pl.DataFrame]) -> pl.DataFrame:
    """The counts of an object out of those of its row groups."""
    if not counts:
        return pl.DataFrame()
    return (
        pl.concat(counts)
        .group_by("template_id")
        .agg(
            pl.col("count").sum(),
            pl.col("first_seen_utc").min(),
            pl.col("last_seen_utc").max(),
            pl.col("example_line_number").min(),
        )
        .sort("template_id")
    )
