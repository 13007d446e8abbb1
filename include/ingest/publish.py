"""The second half of ingest: template ids onto staged events, and into the lake."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from include.database import ledger
from include.ingest.batches import Batch, ObjectAccount
from include.ingest.stage import staged_key
from include.lake.schema import EVENT_SCHEMA, REPEATING
from include.workspace import Workspace
from ml.templates import Catalogue

# Requests under way at once: the parts are small, and the wait is the network's.
WRITERS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for each object, to be checked and then committed."""

    parts: list[ledger.LakePart]
    counts: list[ledger.TemplateCount]
    expected: dict[str, int]
    without_template: dict[str, int]
    without_parameters: dict[str, int]

    def checked_rows(self) -> list[dict[str, object]]:
        """The table of the suite `events`, one row an object."""
        found: Counter[str] = Counter()
        for part in self.parts:
            found[part.object_id] += part.events
        return [
            {
                "object_id": object_id,
                "events_missing": abs(events - found[object_id]),
                "events_without_template": self.without_template[object_id],
                "events_without_parameters": self.without_parameters[object_id],
            }
            for object_id, events in self.expected.items()
        ]


def write_events(
    workspace: Workspace, batch: Batch, accounts: list[ObjectAccount], catalogue: Catalogue
) -> Written:
    """Write the events of these objects of a batch as Parquet partitions.

    Readers see none of it until the ledger names the parts. Their names follow from the object
    alone, so that a second run replaces them by the same.
    """
    written = Written([], [], {}, {}, {})
    for account in accounts:
        _write_object(workspace, batch, account, catalogue, written)
    return written


def _write_object(
    workspace: Workspace,
    batch: Batch,
    account: ObjectAccount,
    catalogue: Catalogue,
    written: Written,
) -> None:
    store, bucket = workspace.store, workspace.settings.bucket_lake
    object_id = account.object.object_id
    without_template = without_parameters = 0
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / "staged.parquet"
        store.download(bucket, staged_key(batch, account.object), staged)
        partitions = _Partitions(Path(folder))
        counts = []
        for events in _with_templates(staged, catalogue):
            without_template += events["template_id"].null_count()
            without_parameters += events["parameters"].null_count()
            complete = events.drop_nulls(["template_id", "parameters"])
            partitions.write(complete)
            counts.append(_template_counts(complete))
        partitions.close()
        hours = sorted(partitions.written)
        addresses = [part_key(batch.source, hour, object_id) for hour in hours]
        paths = [partitions.written[hour][0] for hour in hours]
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(partial(store.put_file, bucket), addresses, paths))
        for hour, address in zip(hours, addresses, strict=True):
            rows = partitions.written[hour][1]
            part = ledger.LakePart(address, object_id, batch.source, hour, rows)
            written.parts.append(part)
    written.counts.extend(
        ledger.TemplateCount(object_id=object_id, **row)
        for row in _merged(counts).iter_rows(named=True)
    )
    written.expected[object_id] = account.events
    written.without_template[object_id] = without_template
    written.without_parameters[object_id] = without_parameters


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
                self._writers[hour] = pq.ParquetWriter(
                    path, EVENT_SCHEMA, compression="zstd", use_dictionary=REPEATING
                )
            table = rows.select(EVENT_SCHEMA.names).to_arrow().cast(EVENT_SCHEMA)
            self._writers[hour].write_table(table)
            self.written[hour] = (path, self.written.get(hour, (path, 0))[1] + len(rows))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _with_templates(staged: Path, catalogue: Catalogue) -> Iterator[pl.DataFrame]:
    """The staged events, a row group at a time, with `template_id` and `parameters`."""
    parquet = pq.ParquetFile(staged)
    for group in range(parquet.num_row_groups):
        events = pl.DataFrame(parquet.read_row_group(group))
        yield events.hstack(catalogue.match(events["message"]))


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
