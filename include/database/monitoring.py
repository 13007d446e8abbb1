"""What is measured of each source and day, and when a retrain was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from include.database import models
from include.database.models import LakePart, ObjectVersion, RetrainRequest

KEY = ("source", "day", "measure")
# Rates are judged beside the models, and no retrain changes them.
JUDGED = sa.text(
    """
    WITH alerts AS (
        SELECT window_id, session_key, window_start, window_end FROM loganalyzer.anomalies
        WHERE source = :source AND model_name = :model_name AND model_version = :model_version
          AND detector <> 'rate' AND interval_start >= :start AND interval_start < :end
    ), told AS (
        SELECT window_id, window_start, window_end, starts_at, ends_at, is_anomalous
        FROM alerts JOIN loganalyzer.labels AS l USING (session_key) WHERE source = :source
        UNION ALL
        SELECT window_id, window_start, window_end, starts_at, ends_at, is_anomalous
        FROM alerts, loganalyzer.labels AS l WHERE source = :source AND l.session_key IS NULL
    ), judged AS (
        SELECT window_id, bool_or(is_anomalous) AS is_anomalous FROM told
        WHERE starts_at IS NULL OR starts_at <= window_end AND ends_at > window_start
        GROUP BY window_id
    )
    SELECT count(*), count(*) FILTER (WHERE NOT is_anomalous) FROM judged
    """
)
# A score of s is what one normal window in 10^s reaches (`ml.tails`): so much a threshold promises.
KEPT = sa.text(
    """
    SELECT CAST(coalesce(sum(s.windows), 0) AS bigint),
           CAST(coalesce(sum(flagged.windows), 0) AS bigint),
           coalesce(sum(s.windows * 10 ^ (-s.threshold)), 0)
    FROM loganalyzer.latest_scorings AS s, LATERAL (
        SELECT count(*) AS windows FROM loganalyzer.current_anomalies AS a
        WHERE (a.source, a.interval_start, a.interval_end)
            = (s.source, s.interval_start, s.interval_end)
          AND a.detector <> 'rate' AND a.muted_by IS NULL
    ) AS flagged
    WHERE s.source = :source AND s.model_name = :model_name AND s.model_version = :model_version
      AND s.interval_start >= :start AND s.interval_start < :end
    """
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measure of a source's day beside its bound; the columns of the table say more."""

    source: str
    day: date
    measure: str
    value: float | None
    bound: float
    is_past: bool
    model_version: str | None
    rests_on: int | None
    reason: str


def replace_day(
    conn: Connection, source: str, day: date, measurements: Sequence[Measurement]
) -> None:
    """Make the rows of a source's day exactly these; those that are the same are not touched."""
    table = models.Measurement
    same_day = (table.source == source, table.day == day)
    kept = [each.measure for each in measurements]
    conn.execute(sa.delete(table).where(*same_day, table.measure.not_in(kept)))
    if not measurements:
        return
    statement = insert(table).values([asdict(each) for each in measurements])
    values = [each.name for each in fields(Measurement) if each.name not in KEY]
    differs = (getattr(table, name).is_distinct_from(statement.excluded[name]) for name in values)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=KEY,
            set_={
                **{name: statement.excluded[name] for name in values},
                "measured_at": sa.func.now(),
            },
            where=sa.or_(*differs),
        )
    )


def past_measures(conn: Connection, source: str, day: date) -> set[str]:
    """What is recorded of a day as past its bound."""
    table = models.Measurement
    is_past = (table.source == source, table.day == day, table.is_past)
    return set(conn.scalars(sa.select(table.measure).where(*is_past)))


def latest(conn: Connection, source: str | None = None) -> list[dict[str, Any]]:
    """The rows of the last measured day of each source, in order of source and measure, each with
    `retrain_asked_at`: when a retrain was last asked for, or None."""
    table = models.Measurement
    other = aliased(table)
    last_day = sa.select(sa.func.max(other.day)).where(other.source == table.source)
    asked = sa.select(sa.func.max(RetrainRequest.asked_at)).where(
        RetrainRequest.source == table.source
    )
    query = (
        sa.select(*table.__table__.columns, asked.scalar_subquery().label("retrain_asked_at"))
        .where(table.day == last_day.scalar_subquery())
        .order_by(table.source, table.measure)
    )
    if source is not None:
        query = query.where(table.source == source)
    return [dict(row) for row in conn.execute(query).mappings()]


def is_asked(conn: Connection, source: str, moment: datetime, within: timedelta) -> bool:
    """Whether a retrain of the source was asked for less than so long before `moment`, or later."""
    query = sa.select(RetrainRequest.asked_at).where(
        RetrainRequest.source == source, RetrainRequest.asked_at > moment - within
    )
    return conn.scalar(query.limit(1)) is not None


def record_request(
    conn: Connection, source: str, asked_at: datetime, day: date, reason: str
) -> None:
    """Record that a retrain was asked for; one of the same moment is left as it is."""
    values = {"source": source, "asked_at": asked_at, "day": day, "reason": reason}
    conn.execute(insert(RetrainRequest).values(values).on_conflict_do_nothing())


def lines_of(conn: Connection, source: str, start: datetime, end: datetime) -> tuple[int, int]:
    """Lines read, and of these quarantined, of the visible objects that hold events of the hours
    from `start` up to `end`."""
    in_hours = sa.select(LakePart.object_id).where(
        LakePart.source == source, LakePart.hour_utc >= start, LakePart.hour_utc < end
    )
    query = sa.select(
        sa.func.coalesce(sa.func.sum(ObjectVersion.lines_read), 0),
        sa.func.coalesce(sa.func.sum(ObjectVersion.lines_quarantined), 0),
    ).where(ObjectVersion.object_id.in_(in_hours), ObjectVersion.state == "ingested")
    read, quarantined = conn.execute(query).one()
    return int(read), int(quarantined)


def judged_alerts(
    conn: Connection,
    source: str,
    model_name: str,
    model_version: str,
    start: datetime,
    end: datetime,
) -> tuple[int, int]:
    """How many windows that a model flagged in intervals which start from `start` up to `end`
    people have judged, and how many of these they call normal.

    A label with an interval speaks of the windows that overlap it. A window that one label calls
    anomalous is, whatever others say, as in training.
    """
    values = {
        "source": source,
        "model_name": model_name,
        "model_version": model_version,
        "start": start,
        "end": end,
    }
    judged, normal = conn.execute(JUDGED, values).one()
    return int(judged), int(normal)


def alerts_kept(
    conn: Connection,
    source: str,
    model_name: str,
    model_version: str,
    start: datetime,
    end: datetime,
) -> tuple[int, int, float]:
    """Windows that a model judged in the intervals which start from `start` up to `end`, how many
    of them alert, and how many its threshold promised of normal windows."""
    values = {
        "source": source,
        "model_name": model_name,
        "model_version": model_version,
        "start": start,
        "end": end,
    }
    windows, kept, promised = conn.execute(KEPT, values).one()
    return int(windows), int(kept), float(promised)
