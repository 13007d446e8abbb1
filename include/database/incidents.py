"""Incidents: replaced by grouping, resolved by people, claimed by alerting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database.models import Incident, IncidentAnomaly

STATES = ("open", "ongoing", "resolved", "expired")
# Of an anomaly: what its incident knows it by.
KEY = tuple(column.name for column in IncidentAnomaly.__table__.primary_key)
ROWS = 1000
# Any number will do, as long as it is always this one.
LOCK = 5_364_002

GROUPED = f"{', '.join(f'a.{name}' for name in KEY)}, a.window_start, a.window_end, a.score, "
GROUPED += "a.severity, a.signature, a.session_key, a.reason, a.lines"
FROM_NIGHT = sa.text(
    f"SELECT {GROUPED} FROM loganalyzer.current_anomalies AS a "  # noqa: S608  our names
    "WHERE a.interval_start >= :since AND a.muted_by IS NULL"
)
BEFORE_NIGHT = sa.text(
    f"SELECT {GROUPED}, p.incident_id FROM loganalyzer.current_anomalies AS a "  # noqa: S608  our names
    f"JOIN loganalyzer.incident_anomalies AS p USING ({', '.join(KEY)}) "
    "WHERE a.interval_start < :since AND a.muted_by IS NULL AND p.incident_id IN ("
    "SELECT incident_id FROM loganalyzer.incident_anomalies "
    "WHERE interval_start >= :alive AND interval_start < :since)"
)
NEWEST_NIGHTS = sa.text(
    "SELECT source, max(interval_start) FROM loganalyzer.latest_scorings GROUP BY source"
)
EXPIRE = sa.text(
    """
    UPDATE loganalyzer.incidents SET state = 'expired', updated_at = now()
    WHERE state IN ('open', 'ongoing') AND last_night < (
        SELECT max(interval_start) FROM loganalyzer.latest_scorings WHERE source = ANY(sources)
    ) - CAST(:expiry AS interval)
    """
)
CLAIM = sa.text(
    """
    UPDATE loganalyzer.incidents SET alerted_at = now(), updated_at = now()
    WHERE incident_id = (
        SELECT incident_id FROM loganalyzer.incidents
        WHERE alerted_at IS NULL AND state IN ('open', 'ongoing') AND incident_id <> ALL(:tried)
        ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], severity), incident_id
        LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING incident_id, title, reason, severity, state, sources, started_at, ended_at,
              anomalies, sessions
    """
).bindparams(sa.bindparam("tried", type_=sa.ARRAY(sa.Text())))


class InvalidResolution(ValueError):
    """There is no such incident, or it is resolved already; the message says which."""


def lock(conn: Connection) -> None:
    """Let one transaction at a time group."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def anomalies_from(conn: Connection, since: datetime) -> list[dict[str, Any]]:
    """The anomalies of the nights from this one on that nobody has muted, in no order."""
    return [dict(row) for row in conn.execute(FROM_NIGHT, {"since": since}).mappings()]


def anomalies_before(conn: Connection, since: datetime, alive: datetime) -> list[dict[str, Any]]:
    """The same of the nights before, with `incident_id`: all of those incidents that had an
    anomaly in a night from `alive` on."""
    rows = conn.execute(BEFORE_NIGHT, {"since": since, "alive": alive})
    return [dict(row) for row in rows.mappings()]


def newest_nights(conn: Connection) -> dict[str, datetime]:
    """The start of the last scored interval of each source."""
    return {source: night for source, night in conn.execute(NEWEST_NIGHTS)}


def known(conn: Connection, alive: datetime) -> dict[str, dict[str, Any]]:
    """The rows of the incidents that came in a night from this one on, by id; nobody resolves them
    until the transaction ends."""
    query = sa.select(*Incident.__table__.columns).where(Incident.last_night >= alive)
    rows = conn.execute(query.with_for_update()).mappings()
    return {row["incident_id"]: dict(row) for row in rows}


def replace_from(
    conn: Connection,
    since: datetime,
    found: Sequence[Mapping[str, Any]],
    gone: Sequence[str],
    parts: Mapping[tuple[Any, ...], str],
) -> None:
    """Make the incidents of the nights from `since` on exactly these.

    found: their rows, without what people and alerting say. gone: ids of those that have no
    anomaly left: they are deleted, but where people or alerting spoke of them, since they may come
    back. parts: the incident of each anomaly of these nights, by `KEY`.

    Call it within a transaction that holds the lock. Rows that are the same are not touched.
    """
    for start in range(0, len(found), ROWS):
        conn.execute(_upsert(found[start : start + ROWS]))
    _replace_parts(conn, since, parts)
    is_spoken_of = sa.or_(Incident.alerted_at.is_not(None), Incident.resolved_at.is_not(None))
    is_gone = Incident.incident_id.in_(gone)
    conn.execute(sa.delete(Incident).where(is_gone, sa.not_(is_spoken_of)))
    conn.execute(
        sa.update(Incident)
        .where(is_gone, Incident.anomalies > 0)
        .values(
            anomalies=0,
            sessions=0,
            state=sa.case((Incident.resolved_at.is_not(None), "resolved"), else_="expired"),
            updated_at=sa.func.now(),
        )
    )


def expire(conn: Connection, expiry: timedelta) -> None:
    """Say that an incident is over where the nights of its sources went on for longer than this
    without it."""
    conn.execute(EXPIRE, {"expiry": expiry})


def _upsert(rows: Sequence[Mapping[str, Any]]) -> sa.Executable:
    statement = insert(Incident).values([dict(row) for row in rows])
    values = [name for name in rows[0] if name != "incident_id"]
    differs = (
        getattr(Incident, name).is_distinct_from(statement.excluded[name]) for name in values
    )
    return statement.on_conflict_do_update(
        index_elements=["incident_id"],
        set_={
            **{name: statement.excluded[name] for name in values},
            "updated_at": sa.func.now(),
        },
        where=sa.or_(*differs),
    )


def _replace_parts(conn: Connection, since: datetime, parts: Mapping[tuple[Any, ...], str]) -> None:
    columns = [getattr(IncidentAnomaly, name) for name in KEY]
    query = sa.select(*columns, IncidentAnomaly.incident_id)
    rows = conn.execute(query.where(IncidentAnomaly.interval_start >= since))
    before = {tuple(row)[:-1]: row.incident_id for row in rows}
    removed = [key for key, incident in before.items() if parts.get(key) != incident]
    for start in range(0, len(removed), ROWS):
        same = sa.tuple_(*columns).in_(removed[start : start + ROWS])
        conn.execute(sa.delete(IncidentAnomaly).where(same))
    added = [
        {**dict(zip(KEY, key, strict=True)), "incident_id": incident}
        for key, incident in parts.items()
        if before.get(key) != incident
    ]
    if added:
        conn.execute(sa.insert(IncidentAnomaly), added)


def per_night(conn: Connection) -> dict[tuple[str, datetime], int]:
    """In how many incidents the anomalies of each source and night are."""
    part = IncidentAnomaly
    count = sa.func.count(part.incident_id.distinct())
    query = sa.select(part.source, part.interval_start, count)
    rows = conn.execute(query.group_by(part.source, part.interval_start))
    return {(source, night): number for source, night, number in rows}


def query(
    conn: Connection, source: str | None = None, state: str | None = None
) -> list[dict[str, Any]]:
    """Incidents with the columns of the table, the worst first; of a source and of a state, or
    where no state is given those that are open or ongoing."""
    states = [state] if state else ["open", "ongoing"]
    rank = sa.func.array_position(
        sa.literal(["critical", "high", "medium", "low"]), Incident.severity
    )
    chosen = (
        sa.select(*Incident.__table__.columns)
        .where(Incident.state.in_(states))
        .order_by(rank, Incident.score.desc(), Incident.incident_id)
    )
    if source is not None:
        chosen = chosen.where(Incident.sources.any_() == source)
    return [dict(row) for row in conn.execute(chosen).mappings()]


def resolve(conn: Connection, incident_id: str, author: str, reason: str) -> None:
    """Say that an incident is over: what is alike and comes later founds another.

    Raises InvalidResolution where there is no such incident or somebody has said so before.
    """
    row = conn.execute(
        sa.select(Incident.resolved_by, Incident.resolved_at)
        .where(Incident.incident_id == incident_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise InvalidResolution(f"no incident {incident_id!r}: `loganalyzer incidents` lists them")
    if row.resolved_at is not None:
        raise InvalidResolution(
            f"{row.resolved_by} resolved {incident_id} on {row.resolved_at:%Y-%m-%d %H:%M} UTC"
        )
    conn.execute(
        sa.update(Incident)
        .where(Incident.incident_id == incident_id)
        .values(
            state="resolved",
            resolved_by=author,
            resolved_at=sa.func.now(),
            resolved_reason=reason,
            resolved_night=Incident.last_night,
            updated_at=sa.func.now(),
        )
    )


def claim(conn: Connection, tried: Sequence[str]) -> dict[str, Any] | None:
    """The worst incident that may go on and that nobody was told of, but for those tried already;
    None where there is none.

    It counts as told from now on, once the transaction is committed; until it ends, others are
    given the next one.
    """
    row = conn.execute(CLAIM, {"tried": list(tried)}).mappings().one_or_none()
    return None if row is None else dict(row)
