"""The anomalies of a source's intervals, written whole and read by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database import SCHEMA, models, replacing

SEVERITIES = ("low", "medium", "high", "critical")
EVERY_NIGHT = (
    "SELECT window_start AS time, source, session_key AS session, score, severity, reason, "  # noqa: S608  our names
    "events, window_end, lines, detector, model_version, interval_start AS night "
    f"FROM {SCHEMA}.current_anomalies WHERE muted_by IS NULL"
)
# Of rows `a` of the table: whether the newest scoring of their interval made them. Asked row by
# row, unlike in the view, a few of very many cost what the few do.
NEWEST = """CROSS JOIN LATERAL (
    SELECT (s.model_name, s.model_version, s.catalogue_version)
        = (a.model_name, a.model_version, a.catalogue_version) AS is_newest
    FROM loganalyzer.scorings AS s
    WHERE (s.source, s.interval_start, s.interval_end)
        = (a.source, a.interval_start, a.interval_end) AND NOT s.is_comparison
    ORDER BY scored_at DESC, model_version DESC, catalogue_version DESC LIMIT 1
) AS latest"""
# Never reached: a query with a limit is planned to give its first rows soon.
BOUND = f"LIMIT {2**40}"
BEFORE = sa.text(
    f"""
    SELECT window_id, session_key, window_start, interval_start AS night, score, severity, reason,
           sequence
    FROM (
        SELECT * FROM {SCHEMA}.anomalies
        WHERE source = :source AND window_start < :window_start AND detector <> 'rate'
        ORDER BY window_start DESC, window_id {BOUND}
    ) AS a
    {NEWEST}
    WHERE is_newest ORDER BY window_start DESC, window_id LIMIT :limit
    """  # noqa: S608  our names
)


class NoSuchAnomaly(LookupError):
    """A window or session without an anomaly; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """That a model judged the windows of an interval, and how many it flagged.

    is_comparison: it was done to see what the model says; the night stays as it was judged.
    """

    source: str
    interval_start: datetime
    interval_end: datetime
    model_name: str
    model_version: str
    catalogue_version: int
    detector: str
    windows: int
    events: int
    anomalies: int
    threshold: float
    scored_at: datetime
    is_comparison: bool = False


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A flagged window; what it shares with its `Scoring` is taken from there.

    signature: its kind, see `Explanation.signature`. sequence: the templates of its events.
    """

    window_id: str
    session_key: str | None
    window_start: datetime
    window_end: datetime
    score: float
    threshold: float
    severity: str
    reason: str
    explanation: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    events: int
    detector: str
    signature: str
    sequence: list[str]


def replace_interval(conn: Connection, scoring: Scoring, found: Sequence[Anomaly]) -> None:
    """Make the rows of an interval, model and catalogue exactly these, as
    `replacing.replace_interval` does it; call it within a transaction.

    A comparison with what judged the night anyway leaves it the judgement of the night.
    """
    conn.execute(sa.text(f"SELECT {SCHEMA}.make_month(:start)"), {"start": scoring.interval_start})
    if scoring.is_comparison and _judged_the_night(conn, scoring):
        scoring = replace(scoring, is_comparison=False)
    # Unlike `asdict`, without a copy of each explanation: that took longer than all the rest.
    names = [each.name for each in fields(Anomaly)]
    rows = [{name: getattr(anomaly, name) for name in names} for anomaly in found]
    replacing.replace_interval(conn, models.Scoring, models.Anomaly, asdict(scoring), rows)


def _judged_the_night(conn: Connection, scoring: Scoring) -> bool:
    key = [column.name for column in models.Scoring.__table__.primary_key]
    same = [getattr(models.Scoring, name) == getattr(scoring, name) for name in key]
    known = sa.select(sa.literal(True)).where(*same, models.Scoring.is_comparison.is_(False))
    return bool(conn.scalar(known))


def forget_before(conn: Connection, moment: datetime) -> list[str]:
    """Drop the months of anomalies that ended before the month of a moment; their partitions."""
    dropped = sa.text(f"SELECT {SCHEMA}.drop_months_before(:moment)")
    return list(conn.scalars(dropped, {"moment": moment}))


def query(
    conn: Connection,
    source: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    limit: int | None = None,
    *,
    minimum_severity: str = SEVERITIES[0],
) -> list[dict[str, Any]]:
    """The anomalies of the newest scorings, the oddest first; without days, those of the last
    night of each source. Days are the UTC days that the scored intervals start on, the last one
    included.

    Each row has the columns of the view `last_night`. Raises ValueError for a severity that is
    none of `SEVERITIES`.
    """
    if minimum_severity not in SEVERITIES:
        raise ValueError(
            f"no severity {minimum_severity!r}; from the mildest they are {', '.join(SEVERITIES)}"
        )
    first, last = first_day or last_day, last_day or first_day
    rows = f"{SCHEMA}.last_night" if first is None else f"({EVERY_NIGHT})"
    days = "" if first is None else "AND night >= :first AND night < CAST(:last AS date) + 1 "
    statement = sa.text(
        f"SELECT * FROM {rows} AS found "  # noqa: S608  our names
        "WHERE (:source IS NULL OR source = :source) AND severity = ANY(:severities) "
        f"{days}ORDER BY score DESC, time, source, session LIMIT :limit"
    ).bindparams(sa.bindparam("source", type_=sa.Text))
    values: dict[str, Any] = {
        "source": source,
        "limit": limit,
        "severities": list(SEVERITIES[SEVERITIES.index(minimum_severity) :]),
    }
    if first is not None:
        values |= {"first": first, "last": last}
    return [dict(row) for row in conn.execute(statement, values).mappings()]


def of_version(
    conn: Connection, source: str, start: str, end: str, model_version: str, limit: int
) -> list[dict[str, Any]]:
    """The anomalies that a version of a source's model found in an interval when it last judged it,
    the oddest first. start, end: ISO times."""
    query = sa.text(
        "SELECT window_start AS time, session_key AS session, score, severity, reason, events "  # noqa: S608  our names
        f"FROM {SCHEMA}.anomalies JOIN ("
        "SELECT source, interval_start, interval_end, model_name, model_version, catalogue_version "
        f"FROM {SCHEMA}.scorings WHERE source = :source AND interval_start = :start "
        "AND interval_end = :end AND model_version = :version ORDER BY scored_at DESC LIMIT 1"
        ") AS newest USING (source, interval_start, interval_end, model_name, model_version, "
        "catalogue_version) ORDER BY score DESC, time, window_id LIMIT :limit"
    )
    values = {"source": source, "start": start, "end": end, "version": model_version}
    return [dict(row) for row in conn.execute(query, {**values, "limit": limit}).mappings()]


def scorings(conn: Connection, source: str | None = None) -> list[dict[str, Any]]:
    """Every scoring, in order of source and night."""
    chosen = sa.select(*models.Scoring.__table__.columns).order_by(
        models.Scoring.source, models.Scoring.interval_start
    )
    if source is not None:
        chosen = chosen.where(models.Scoring.source == source)
    return [dict(row) for row in conn.execute(chosen).mappings()]


def with_sequence(conn: Connection, source: str, window_or_session: str) -> dict[str, Any]:
    """The newest anomaly of a window or session, with the sequence that the model saw. Raises
    NoSuchAnomaly."""
    query = sa.text(
        f"SELECT * FROM {SCHEMA}.current_anomalies "  # noqa: S608  our names
        "WHERE source = :source AND :key IN (window_id, session_key) "
        "ORDER BY interval_start DESC, score DESC LIMIT 1"
    )
    row = conn.execute(query, {"source": source, "key": window_or_session}).mappings().one_or_none()
    if row is None:
        raise NoSuchAnomaly(
            f"{source} has no anomaly of the window or session {window_or_session!r}: "
            "`loganalyzer anomalies` lists them"
        )
    return dict(row)


def before(conn: Connection, found: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """The newest anomalies of its source in windows that started before, in order of time; rates,
    which have no sequence, are left out."""
    values = {**{name: found[name] for name in ("source", "window_start")}, "limit": limit}
    return [dict(row) for row in conn.execute(BEFORE, values).mappings()][::-1]


def judged(conn: Connection, source: str, window_ids: Sequence[str]) -> dict[str, bool]:
    """What people said of windows, where they said something."""
    query = sa.text(
        f"SELECT window_id, bool_or(is_anomalous) FROM {SCHEMA}.judged_anomalies "  # noqa: S608  our names
        "WHERE source = :source AND window_id = ANY(:windows) AND is_anomalous IS NOT NULL "
        "GROUP BY window_id"
    )
    found = conn.execute(query, {"source": source, "windows": list(window_ids)})
    return {window_id: is_anomalous for window_id, is_anomalous in found}
