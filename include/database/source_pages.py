"""What there is to tell of sources: what came in, hour by hour, and what each night rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database.models import Coverage, Measurement

SOURCES = sa.text(
    """
    WITH counted AS (
        SELECT source, max(ingested_at) AS last_ingest_at,
               min(first_event_utc) FILTER (WHERE state = 'ingested') AS first_event_utc,
               max(last_event_utc) FILTER (WHERE state = 'ingested') AS last_event_utc,
               sum(events) FILTER (WHERE state = 'ingested') AS events,
               sum(lines_read) FILTER (WHERE state <> 'superseded') AS lines_read,
               sum(lines_quarantined) FILTER (WHERE state <> 'superseded') AS lines_quarantined
        FROM loganalyzer.events_ledger GROUP BY source
    ), mined AS (
        SELECT source, count(*) AS templates FROM loganalyzer.template_catalogue
        WHERE replaced_by IS NULL GROUP BY source
    )
    SELECT source, s.format, s.windowing, s.prefix, s.description, first_event_utc,
           last_event_utc, last_ingest_at, coalesce(templates, 0) AS templates,
           CAST(coalesce(events, 0) AS bigint) AS events,
           CAST(coalesce(lines_read, 0) AS bigint) AS lines_read,
           CAST(coalesce(lines_quarantined, 0) AS bigint) AS lines_quarantined
    FROM (
        SELECT unnest(:names) AS source
        UNION SELECT source FROM loganalyzer.sources
        UNION SELECT source FROM counted
    ) AS known
    LEFT JOIN loganalyzer.sources AS s USING (source)
    LEFT JOIN counted USING (source)
    LEFT JOIN mined USING (source)
    ORDER BY source
    """
).bindparams(sa.bindparam("names", type_=sa.ARRAY(sa.Text())))
BY_HOUR = sa.text(
    """
    SELECT date_trunc('hour', window_start, 'UTC'), count(*) FROM loganalyzer.current_anomalies
    WHERE source = :source AND window_start >= :start AND window_start < :end
      AND muted_by IS NULL
    GROUP BY 1
    """
)


def sources(conn: Connection, names: Sequence[str]) -> list[dict[str, Any]]:
    """Every source that has one of these names or is in the database, in order: what its file
    said last, and what came in."""
    return [dict(row) for row in conn.execute(SOURCES, {"names": list(names)}).mappings()]


def hourly_anomalies(
    conn: Connection, source: str, start: datetime, end: datetime
) -> dict[datetime, int]:
    """Anomalies that are not muted, by the hour in which their windows start."""
    values = {"source": source, "start": start, "end": end}
    return {hour: count for hour, count in conn.execute(BY_HOUR, values)}


def nights(
    conn: Connection,
    limit: int,
    source: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: tuple[datetime, str, datetime] | None = None,
) -> list[dict[str, Any]]:
    """What so many nights rest on, the newest first.

    start, end: between which they start. after: of the last row of the page before the start of
    the interval, the source and the end of the interval.
    """
    order = (Coverage.interval_start, Coverage.source, Coverage.interval_end)
    query = _within(Coverage, Coverage.interval_start, source, start, end)
    return _page(conn, query, order, after, limit)


def measurements(
    conn: Connection,
    limit: int,
    source: str | None = None,
    first: date | None = None,
    before: date | None = None,
    after: tuple[date, str, str] | None = None,
) -> list[dict[str, Any]]:
    """So many rows of `monitoring`, the newest day first.

    after: the day, the source and the measure of the last row of the page before.
    """
    order = (Measurement.day, Measurement.source, Measurement.measure)
    query = _within(Measurement, Measurement.day, source, first, before)
    return _page(conn, query, order, after, limit)


def _within(
    table: type[Coverage] | type[Measurement],
    column: sa.orm.InstrumentedAttribute[Any],
    source: str | None,
    start: date | None,
    end: date | None,
) -> sa.Select[Any]:
    query = sa.select(*table.__table__.columns)
    if source is not None:
        query = query.where(table.source == source)
    if start is not None:
        query = query.where(column >= start)
    if end is not None:
        query = query.where(column < end)
    return query


def _page(
    conn: Connection,
    query: sa.Select[Any],
    order: Sequence[sa.orm.InstrumentedAttribute[Any]],
    after: Sequence[Any] | None,
    limit: int,
) -> list[dict[str, Any]]:
    if after is not None:
        query = query.where(sa.tuple_(*order) < sa.tuple_(*after))
    query = query.order_by(*(each.desc() for each in order)).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]
