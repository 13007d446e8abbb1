"""The ledger: which object versions were read, with what result, and which parts are visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database import models
from include.database.models import ObjectVersion

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What was read of one object: lines_read = events + lines_continued + lines_quarantined."""

    object_id: str
    source: str
    object_key: str
    etag: str
    size_bytes: int
    lines_read: int
    events: int
    lines_continued: int
    lines_quarantined: int
    quarantine_reasons: dict[str, int]
    severities: dict[str, int]
    first_event_utc: datetime | None
    last_event_utc: datetime | None
    batch_id: str


@dataclass(frozen=True, slots=True)
class LakePart:
    """The events of one object in a Parquet file, in which others may have theirs too."""

    path: str
    object_id: str
    source: str
    hour_utc: datetime
    events: int


@dataclass(frozen=True, slots=True)
class TemplateCount:
    object_id: str
    template_id: str
    count: int
    first_seen_utc: datetime
    last_seen_utc: datetime
    example_line_number: int


def known_objects(conn: Connection, source: str) -> set[tuple[str, str]]:
    """Key and ETag of every object version that was read, whatever became of it."""
    query = sa.select(ObjectVersion.object_key, ObjectVersion.etag)
    return {(key, etag) for key, etag in conn.execute(query.where(ObjectVersion.source == source))}


def commit_batch(
    conn: Connection,
    entries: Sequence[LedgerEntry],
    parts: Sequence[LakePart],
    counts: Sequence[TemplateCount],
) -> None:
    """Make a batch visible. Objects that the ledger knows already are left as they are.

    Earlier versions of the same keys become `superseded` in the same transaction, so that no
    reader sees both; an index of the table holds it. Raises sqlalchemy.exc.IntegrityError, and
    nothing is kept, where an account does not add up or names one key twice.
    """
    new = _insert_entries(conn, entries, state="ingested", reason_of={})
    _insert(conn, models.LakePart, [part for part in parts if part.object_id in new])
    _insert(conn, models.TemplateCount, [count for count in counts if count.object_id in new])


def set_aside(conn: Connection, entries: Sequence[LedgerEntry], reason_of: dict[str, str]) -> None:
    """Record objects that were refused whole, with the reason for each object id."""
    _insert_entries(conn, entries, state="set_aside", reason_of=reason_of)


def superseded_parts(conn: Connection, source: str) -> list[str]:
    """Addresses of the parts in which no reader sees an event any more, since newer versions of
    all their objects took over."""
    is_superseded = ObjectVersion.state == "superseded"
    query = (
        sa.select(models.LakePart.path)
        .join(ObjectVersion, ObjectVersion.object_id == models.LakePart.object_id)
        .where(models.LakePart.source == source)
        .group_by(models.LakePart.path)
        .having(sa.func.bool_and(is_superseded))
        .order_by(models.LakePart.path)
    )
    return list(conn.scalars(query))


def forget_set_aside(conn: Connection, source: str) -> int:
    """Let the next ingest read again what was set aside; how many objects that is."""
    gone = sa.delete(ObjectVersion).where(
        ObjectVersion.source == source, ObjectVersion.state == "set_aside"
    )
    return conn.execute(gone).rowcount


def parts_between(
    conn: Connection, source: str, start: datetime, end: datetime
) -> dict[str, list[str]]:
    """Addresses of the parts that may hold visible events with start <= event_time < end, and the
    keys of the objects whose events in them are visible."""
    in_hours = (models.LakePart.hour_utc > start - HOUR, models.LakePart.hour_utc < end)
    return _visible_parts(conn, models.LakePart.source == source, *in_hours)


def parts_of_objects(conn: Connection, source: str, object_keys: set[str]) -> dict[str, list[str]]:
    """Addresses of the parts with visible events of these objects, and whose they are."""
    keys = ObjectVersion.object_key.in_(object_keys)
    return _visible_parts(conn, ObjectVersion.source == source, keys)


def _visible_parts(conn: Connection, *conditions: sa.ColumnElement[bool]) -> dict[str, list[str]]:
    query = (
        sa.select(
            models.LakePart.path,
            sa.func.array_agg(ObjectVersion.object_key),
        )
        .join(ObjectVersion, ObjectVersion.object_id == models.LakePart.object_id)
        .where(ObjectVersion.state == "ingested", *conditions)
        .group_by(models.LakePart.path)
        .order_by(models.LakePart.path)
    )
    return {path: sorted(keys) for path, keys in conn.execute(query)}


def etags_of(conn: Connection, source: str, object_keys: set[str]) -> dict[str, str]:
    """The visible version of each object, by its key."""
    query = sa.select(ObjectVersion.object_key, ObjectVersion.etag).where(
        ObjectVersion.source == source,
        ObjectVersion.state == "ingested",
        ObjectVersion.object_key.in_(object_keys),
    )
    return {key: etag for key, etag in conn.execute(query)}


def span_of_events(conn: Connection, source: str) -> tuple[datetime, datetime] | None:
    """Times of the first and the last visible event, None where there is none."""
    query = sa.select(
        sa.func.min(ObjectVersion.first_event_utc), sa.func.max(ObjectVersion.last_event_utc)
    ).where(ObjectVersion.source == source, ObjectVersion.state == "ingested")
    first, last = conn.execute(query).one()
    return None if first is None or last is None else (first, last)


def hourly_volumes(
    conn: Connection, source: str, start: datetime, end: datetime
) -> dict[datetime, int]:
    """Visible events of each hour from `start` up to `end`; hours without any are absent."""
    total = sa.func.sum(models.LakePart.events)
    return {hour: int(n) for hour, n in _of_each_hour(conn, total, source, start, end)}


def object_volumes(
    conn: Connection, source: str, start: datetime, end: datetime
) -> dict[datetime, float]:
    """The same on average of the objects that hold events of the hour."""
    mean = sa.func.avg(models.LakePart.events)
    return {hour: float(n) for hour, n in _of_each_hour(conn, mean, source, start, end)}


def _of_each_hour(
    conn: Connection,
    figure: sa.ColumnElement[Any],
    source: str,
    start: datetime,
    end: datetime,
) -> sa.CursorResult[datetime, Any]:
    return conn.execute(
        sa.select(models.LakePart.hour_utc, figure)
        .join(ObjectVersion, ObjectVersion.object_id == models.LakePart.object_id)
        .where(
            models.LakePart.source == source,
            models.LakePart.hour_utc >= start,
            models.LakePart.hour_utc < end,
            ObjectVersion.state == "ingested",
        )
        .group_by(models.LakePart.hour_utc)
    )


def severity_counts(conn: Connection, source: str) -> dict[str, int]:
    """Visible events of each severity, over everything ingested."""
    pairs = sa.func.jsonb_each_text(ObjectVersion.severities).table_valued("key", "value")
    query = (
        sa.select(
            pairs.c.key,
            sa.cast(sa.func.sum(sa.cast(pairs.c.value, sa.BigInteger)), sa.BigInteger),
        )
        .select_from(ObjectVersion)
        .join(pairs, sa.true())
        .where(ObjectVersion.source == source, ObjectVersion.state == "ingested")
        .group_by(pairs.c.key)
    )
    return {severity: count for severity, count in conn.execute(query)}


def totals(conn: Connection) -> list[dict[str, object]]:
    """For each source and state: objects, lines read, events, continued and quarantined lines."""
    sums = ["lines_read", "events", "lines_continued", "lines_quarantined"]
    query = (
        sa.select(
            ObjectVersion.source,
            ObjectVersion.state,
            sa.func.count().label("objects"),
            *(
                sa.cast(sa.func.sum(getattr(ObjectVersion, name)), sa.BigInteger).label(name)
                for name in sums
            ),
        )
        .group_by(ObjectVersion.source, ObjectVersion.state)
        .order_by(ObjectVersion.source, ObjectVersion.state)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def last_ingests(conn: Connection) -> dict[str, dict[str, Any]]:
    """Of each source when objects last came in, and what came since the beginning: `at`, `objects`,
    `events`."""
    query = (
        sa.select(
            ObjectVersion.source,
            sa.func.max(ObjectVersion.ingested_at).label("at"),
            sa.func.count().label("objects"),
            sa.cast(sa.func.sum(ObjectVersion.events), sa.BigInteger).label("events"),
        )
        .where(ObjectVersion.state == "ingested")
        .group_by(ObjectVersion.source)
    )
    return {row.pop("source"): row for row in map(dict, conn.execute(query).mappings())}


def _insert_entries(
    conn: Connection, entries: Sequence[LedgerEntry], state: str, reason_of: dict[str, str]
) -> set[str]:
    """Insert those that are new and supersede their elder versions; the ids of the new ones."""
    _lock(conn, {entry.source for entry in entries})
    ids = [entry.object_id for entry in entries]
    known = set(
        conn.scalars(sa.select(ObjectVersion.object_id).where(ObjectVersion.object_id.in_(ids)))
    )
    new = [entry for entry in entries if entry.object_id not in known]
    if state == "ingested":
        _supersede(conn, new)
    rows = [
        {**asdict(entry), "state": state, "reason": reason_of.get(entry.object_id)} for entry in new
    ]
    if rows:
        conn.execute(insert(ObjectVersion), rows)
    return {entry.object_id for entry in new}


def _lock(conn: Connection, sources: set[str]) -> None:
    """Let one transaction at a time write to the ledger of a source."""
    for source in sorted(sources):
        key = sa.func.hashtextextended(f"ledger|{source}", 0)
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _supersede(conn: Connection, entries: Sequence[LedgerEntry]) -> None:
    """Take the visible versions of these objects' keys out of sight."""
    keys = [(entry.source, entry.object_key) for entry in entries]
    conn.execute(
        sa.update(ObjectVersion)
        .where(
            sa.tuple_(ObjectVersion.source, ObjectVersion.object_key).in_(keys),
            ObjectVersion.state == "ingested",
        )
        .values(state="superseded")
    )


def _insert(
    conn: Connection, table: type[models.Table], rows: Sequence[LakePart] | Sequence[TemplateCount]
) -> None:
    if rows:  # given beside the statement, they are not compiled with it
        conn.execute(insert(table), [asdict(row) for row in rows])
