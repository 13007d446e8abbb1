"""Incidents in pages, and what there is to tell of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database.anomalies import SEVERITIES
from include.database.browsing import pattern, severities_from
from include.database.incidents import KEY
from include.database.models import Incident

RANK = sa.func.array_position(sa.literal(list(SEVERITIES), sa.ARRAY(sa.Text)), Incident.severity)
# The newest night first, and of a night the worst first.
ORDER = (Incident.last_night, RANK, Incident.score, Incident.incident_id)
PARTS = f"""
WITH parts AS MATERIALIZED (
    SELECT {", ".join(KEY)} FROM loganalyzer.incident_anomalies WHERE incident_id = :incident_id
)
SELECT {{columns}} FROM parts JOIN loganalyzer.anomalies AS a USING ({", ".join(KEY)}) {{rest}}
"""  # noqa: S608  our names
BY_SOURCE = PARTS.format(
    columns="source, count(*) AS anomalies", rest="GROUP BY source ORDER BY source"
)
BY_KIND = PARTS.format(
    columns="source, signature, count(*) AS anomalies, max(score) AS score",
    rest="GROUP BY source, signature ORDER BY count(*) DESC, source, signature",
)
BY_NIGHT = PARTS.format(
    columns="interval_start AS night, count(*) AS anomalies, max(score) AS score",
    rest="GROUP BY interval_start ORDER BY interval_start",
)
ODDEST = PARTS.format(
    columns="source, interval_start AS night, window_id, lines, explanation",
    rest="ORDER BY score DESC, window_start, window_id LIMIT :limit",
)
SAID = sa.text(
    """
    SELECT DISTINCT f.*, coalesce(f.incident_id, i.incident_id) AS said_of
    FROM loganalyzer.feedback_in_force AS f
    LEFT JOIN loganalyzer.incident_anomalies AS i
        ON f.incident_id IS NULL AND (i.source, i.window_id) = (f.source, f.window_id)
        AND i.incident_id = ANY(:incident_ids)
    WHERE coalesce(f.incident_id, i.incident_id) = ANY(:incident_ids)
    ORDER BY f.feedback_id DESC
    """
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents to list: all where nothing is said.

    start, end: they have a window between these. text: part of the title or the reason.
    """

    source: str | None = None
    states: Sequence[str] = ()
    minimum_severity: str = SEVERITIES[0]
    start: datetime | None = None
    end: datetime | None = None
    text: str | None = None


def page(
    conn: Connection, wanted: Wanted, limit: int, after: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """So many incidents, those of the newest night first, the worst of each night first.

    after: of the last row of the page before its `last_night`, `rank`, `score` and `incident_id`.
    """
    query = sa.select(*Incident.__table__.columns, RANK.label("rank")).where(*_conditions(wanted))
    if after is not None:
        query = query.where(sa.tuple_(*ORDER) < sa.tuple_(*after))
    query = query.order_by(*(each.desc() for each in ORDER)).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


def incident(conn: Connection, incident_id: str) -> dict[str, Any] | None:
    query = sa.select(*Incident.__table__.columns).where(Incident.incident_id == incident_id)
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def incidents_of(conn: Connection, incident_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows by their ids."""
    query = sa.select(*Incident.__table__.columns).where(Incident.incident_id.in_(incident_ids))
    return {row["incident_id"]: dict(row) for row in conn.execute(query).mappings()}


def by_source(conn: Connection, incident_id: str) -> list[dict[str, Any]]:
    """How many anomalies it has in each source."""
    return _parts(conn, BY_SOURCE, incident_id)


def by_kind(conn: Connection, incident_id: str) -> list[dict[str, Any]]:
    """How many it has of each kind in each source, with the highest score; the most first."""
    return _parts(conn, BY_KIND, incident_id)


def by_night(conn: Connection, incident_id: str) -> list[dict[str, Any]]:
    """How many came in each night, with the highest score."""
    return _parts(conn, BY_NIGHT, incident_id)


def oddest(conn: Connection, incident_id: str, limit: int) -> list[dict[str, Any]]:
    """Its anomalies with the highest scores: `source`, `night`, `window_id`, `lines` and
    `explanation`."""
    return _parts(conn, ODDEST, incident_id, limit=limit)


def said_of(conn: Connection, incident_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The feedback in force that speaks of incidents or of their anomalies, the newest first, with
    the incident as `said_of`."""
    return [dict(row) for row in conn.execute(SAID, {"incident_ids": incident_ids}).mappings()]


def _parts(conn: Connection, query: str, incident_id: str, **more: Any) -> list[dict[str, Any]]:
    found = conn.execute(sa.text(query), {"incident_id": incident_id, **more})
    return [dict(row) for row in found.mappings()]


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if wanted.source is not None:
        conditions.append(Incident.sources.any_() == wanted.source)
    if wanted.states:
        conditions.append(Incident.state.in_(wanted.states))
    if wanted.minimum_severity != SEVERITIES[0]:
        conditions.append(Incident.severity.in_(severities_from(wanted.minimum_severity)))
    if wanted.start is not None:
        conditions.append(Incident.ended_at >= wanted.start)
    if wanted.end is not None:
        conditions.append(Incident.started_at < wanted.end)
    if wanted.text is not None:
        like = pattern(wanted.text)
        conditions.append(sa.or_(Incident.title.ilike(like), Incident.reason.ilike(like)))
    return conditions
