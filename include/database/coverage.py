"""What the judgement of a night rests on: what arrived, what was judged, what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database import models

SCORED, PARTLY, NOT_SCORED = "scored", "partly", "not_scored"
KEY = ("source", "interval_start", "interval_end")
ARRIVED = sa.text(
    """
    WITH days AS (
        SELECT count(DISTINCT p.object_id) AS objects
        FROM loganalyzer.lake_parts AS p JOIN loganalyzer.events_ledger AS o USING (object_id)
        WHERE p.source = :source AND o.state = 'ingested'
          AND p.hour_utc >= CAST(:start AS timestamptz) - interval '28 days' AND p.hour_utc < :start
        GROUP BY date_bin('1 day', p.hour_utc, :start)
    ), parts AS (
        SELECT p.object_id, sum(p.events) AS events
        FROM loganalyzer.lake_parts AS p JOIN loganalyzer.events_ledger AS o USING (object_id)
        WHERE p.source = :source AND o.state = 'ingested'
          AND p.hour_utc >= :start AND p.hour_utc < :end
        GROUP BY p.object_id
    ), checks AS (
        SELECT count(*) AS checks, count(*) FILTER (WHERE NOT passed) AS failed
        FROM loganalyzer.validations JOIN parts USING (object_id)
    ), refused AS (
        SELECT count(*) AS objects FROM loganalyzer.events_ledger
        WHERE source = :source AND state = 'set_aside'
          AND coalesce(first_event_utc, ingested_at) >= :start
          AND coalesce(first_event_utc, ingested_at) < :end
    )
    SELECT
        (SELECT CASE WHEN count(*) >= 7
                THEN percentile_disc(0.5) WITHIN GROUP (ORDER BY objects) END FROM days
        ) AS objects_expected,
        (SELECT count(*) FROM parts) AS objects_arrived,
        (SELECT count(*) FROM parts JOIN loganalyzer.events_ledger USING (object_id)
         WHERE ingested_at > :first_scored_at) AS objects_late,
        (SELECT objects FROM refused) AS objects_set_aside,
        CAST(coalesce(sum(o.lines_read), 0) AS bigint) AS lines_read,
        CAST((SELECT coalesce(sum(events), 0) FROM parts) AS bigint) AS events,
        CAST(coalesce(sum(o.lines_quarantined), 0) AS bigint) AS lines_quarantined,
        (SELECT CASE WHEN (SELECT objects FROM refused) > 0 THEN 'refused'
                     WHEN checks = 0 THEN 'unchecked'
                     WHEN failed > 0 THEN 'warned' ELSE 'passed' END FROM checks) AS verdict
    FROM parts JOIN loganalyzer.events_ledger AS o USING (object_id)
    WHERE o.first_event_utc >= :start
    """
).bindparams(
    *(sa.bindparam(name, type_=sa.DateTime(True)) for name in ("start", "end", "first_scored_at"))
)
SEEN = sa.text(
    """
    SELECT md5(coalesce(string_agg(object_id, ',' ORDER BY object_id), ''))
    FROM loganalyzer.events_ledger
    WHERE source = :source AND state = 'ingested' AND object_id IN (
        SELECT object_id FROM loganalyzer.lake_parts
        WHERE source = :source AND hour_utc > CAST(:start AS timestamptz) - interval '1 hour'
          AND hour_utc < :end
    )
    """
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a scoring made of a night. objects_seen: see `objects_between`."""

    windows: int
    anomalies: int
    unseen_share: float | None
    objects_seen: str


def objects_between(conn: Connection, source: str, start: datetime, end: datetime) -> str:
    """A hash of the visible objects that may hold events with start <= event_time < end: another
    one means that lines have come, or were taken back."""
    return str(conn.scalar(SEEN, {"source": source, "start": start, "end": end}))


def record(
    conn: Connection,
    source: str,
    start: datetime,
    end: datetime,
    moment: datetime,
    judged: Judged | None,
) -> dict[str, Any]:
    """Write what a night rests on now, and return the row; where it is the same, nothing changes.

    judged: None where the night is only about to be scored; what is known of an earlier scoring
    stays then.
    """
    table = models.Coverage
    key = dict(zip(KEY, (source, start, end), strict=True))
    known = conn.execute(
        sa.select(*table.__table__.columns).where(
            *(getattr(table, name) == value for name, value in key.items())
        )
    ).one_or_none()
    if judged is None and known is not None and known.first_scored_at is not None:
        judged = Judged(known.windows, known.anomalies, known.unseen_share, known.objects_seen)
    first = known.first_scored_at if known else None
    if judged is not None and first is None:
        first = moment
    values = {"source": source, "start": start, "end": end, "first_scored_at": first}
    arrived = dict(conn.execute(ARRIVED, values).mappings().one())
    row = {**key, **arrived, "first_scored_at": first}
    row |= asdict(judged or Judged(0, 0, None, ""))
    row["state"] = _state(row, judged)
    row["reason"] = _reason(row)
    _upsert(conn, row)
    return row


def nights_touched(
    conn: Connection, source: str, since: datetime, until: datetime, lookback: timedelta
) -> list[tuple[datetime, datetime]]:
    """Nights from `since` up to `until` that were scored, and whose objects are others now: lines
    came late, or a newer version of an object did. lookback: how far before a night its windows
    may begin."""
    table = models.Coverage
    scored = conn.execute(
        sa.select(table.interval_start, table.interval_end, table.objects_seen)
        .where(
            table.source == source,
            table.interval_start >= since,
            table.interval_end <= until,
            table.first_scored_at.is_not(None),
        )
        .order_by(table.interval_start)
    )
    return [
        (start, end)
        for start, end, seen in scored
        if objects_between(conn, source, start - lookback, end) != seen
    ]


def nights(conn: Connection, source: str | None = None, limit: int = 14) -> list[dict[str, Any]]:
    """The rows of the newest nights of each source, the newest first."""
    table = models.Coverage
    place = sa.func.row_number().over(
        partition_by=table.source, order_by=table.interval_start.desc()
    )
    placed = sa.select(*table.__table__.columns, place.label("place"))
    if source is not None:
        placed = placed.where(table.source == source)
    rows = placed.subquery()
    query = sa.select(rows).where(rows.c.place <= limit)
    query = query.order_by(rows.c.source, rows.c.interval_start.desc())
    return [dict(row) for row in conn.execute(query).mappings()]


def keep_sources(conn: Connection, known: Iterable[dict[str, str]]) -> None:
    """Make the table `sources` say what the files say; a source without a file stays."""
    for row in known:
        statement = insert(models.Source).values(row)
        new = {name: statement.excluded[name] for name in row if name != "source"}
        differs = sa.or_(*(getattr(models.Source, n).is_distinct_from(v) for n, v in new.items()))
        conn.execute(
            statement.on_conflict_do_update(index_elements=["source"], set_=new, where=differs)
        )


def _state(row: dict[str, Any], judged: Judged | None) -> str:
    if judged is None:
        return NOT_SCORED
    return PARTLY if row["objects_set_aside"] else SCORED


def _reason(row: dict[str, Any]) -> str:
    expected, arrived = row["objects_expected"], row["objects_arrived"]
    of_usual = "" if expected is None else f" where {expected} are usual"
    told = [f"{arrived:,} objects arrived{of_usual}" if arrived else f"no logs arrived{of_usual}"]
    if row["objects_late"]:
        told.append(f"{row['objects_late']:,} of them late")
    if row["objects_set_aside"]:
        told.append(f"{row['objects_set_aside']:,} set aside: see `validations`")
    if row["lines_quarantined"]:
        told.append(f"{row['lines_quarantined']:,} of {row['lines_read']:,} lines did not parse")
    if row["state"] == NOT_SCORED:
        told.append("not scored")
    elif not row["windows"]:
        told.append("no window closed")
    else:
        told.append(f"{row['anomalies']:,} of {row['windows']:,} windows are anomalous")
    return "; ".join(told)


def _upsert(conn: Connection, row: dict[str, Any]) -> None:
    statement = insert(models.Coverage).values(row)
    new = {name: statement.excluded[name] for name in row if name not in KEY}
    differs = (
        getattr(models.Coverage, name).is_distinct_from(value) for name, value in new.items()
    )
    conn.execute(
        statement.on_conflict_do_update(index_elements=KEY, set_=new, where=sa.or_(*differs))
    )
