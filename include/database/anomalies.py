"""The anomalies of a source's intervals, written whole and read by people."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database import SCHEMA, models

INTERVAL = ["source", "interval_start", "interval_end"]
KEY = [*INTERVAL, "model_name", "model_version"]
VALUES = [
    "session_key",
    "window_start",
    "window_end",
    "score",
    "threshold",
    "severity",
    "reason",
    "explanation",
    "lines",
    "detector",
    "events",
]
SEVERITIES = ("low", "medium", "high", "critical")
EVERY_NIGHT = (
    "SELECT a.window_start AS time, a.source, a.session_key AS session, a.score, a.severity, "  # noqa: S608  our names
    "a.reason, a.events, a.window_end, a.lines, a.detector, a.model_version, "
    f"a.interval_start AS night FROM {SCHEMA}.anomalies AS a "
    f"JOIN {SCHEMA}.latest_scorings USING ({', '.join(KEY)})"
)


@dataclass(frozen=True, slots=True)
class Scoring:
    """That a model judged the windows of an interval, and how many it flagged."""

    source: str
    interval_start: datetime
    interval_end: datetime
    model_name: str
    model_version: str
    detector: str
    windows: int
    events: int
    anomalies: int
    threshold: float
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A flagged window; what it shares with its `Scoring` is taken from there."""

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


def replace_interval(conn: Connection, scoring: Scoring, found: Sequence[Anomaly]) -> None:
    """Make the rows of an interval and model exactly these; call it within a transaction.

    The rows come by COPY into a table of their own and from there in one upsert. Rows that are
    the same already are not touched, so that scoring again changes nothing, except that a model
    which another had overtaken becomes the latest of the interval again. Raises
    psycopg2.DataError where a text holds a NUL, which Postgres cannot store.
    """
    interval = "|".join(str(getattr(scoring, name)) for name in INTERVAL)
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(interval, 1))))
    conn.execute(_upsert_scoring(scoring))
    if _replace_rows(conn, scoring, found) or _is_overtaken(conn, scoring):
        conn.execute(
            sa.update(models.Scoring)
            .where(*_same(scoring, KEY))
            .values(scored_at=scoring.scored_at)
        )


def _replace_rows(conn: Connection, scoring: Scoring, found: Sequence[Anomaly]) -> bool:
    """Whether any row was removed, added or changed."""
    conn.execute(
        sa.text(f"CREATE TEMPORARY TABLE staged_anomalies (LIKE {SCHEMA}.anomalies) ON COMMIT DROP")
    )
    _copy(conn, scoring, found)
    columns = ", ".join([*KEY, "window_id", *VALUES])
    same_interval = " AND ".join(f"a.{name} = :{name}" for name in KEY)
    differs = f"({_list('a', VALUES)}) IS DISTINCT FROM ({_list('EXCLUDED', VALUES)})"
    removed = conn.execute(
        sa.text(
            f"DELETE FROM {SCHEMA}.anomalies AS a WHERE {same_interval} "  # noqa: S608  our names
            "AND NOT EXISTS (SELECT FROM staged_anomalies AS s WHERE s.window_id = a.window_id)"
        ),
        {name: getattr(scoring, name) for name in KEY},
    ).rowcount
    changed = conn.execute(
        sa.text(
            f"INSERT INTO {SCHEMA}.anomalies AS a ({columns}) "  # noqa: S608  our names
            f"SELECT {columns} FROM staged_anomalies "
            f"ON CONFLICT ({', '.join([*KEY, 'window_id'])}) DO UPDATE "
            f"SET {', '.join(f'{name} = EXCLUDED.{name}' for name in VALUES)} WHERE {differs}"
        )
    ).rowcount
    conn.execute(sa.text("DROP TABLE staged_anomalies"))
    return bool(removed or changed)


def _is_overtaken(conn: Connection, scoring: Scoring) -> bool:
    """Whether another model has scored the interval since this one last changed a row."""
    own = sa.select(models.Scoring.scored_at).where(*_same(scoring, KEY)).scalar_subquery()
    newest = sa.select(sa.func.max(models.Scoring.scored_at)).where(*_same(scoring, INTERVAL))
    return bool(conn.scalar(sa.select(newest.scalar_subquery() > own)))


def _same(scoring: Scoring, names: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    return [getattr(models.Scoring, name) == getattr(scoring, name) for name in names]


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


def scorings(conn: Connection, source: str | None = None) -> list[dict[str, Any]]:
    """Every scoring, in order of source and night."""
    chosen = sa.select(*models.Scoring.__table__.columns).order_by(
        models.Scoring.source, models.Scoring.interval_start
    )
    if source is not None:
        chosen = chosen.where(models.Scoring.source == source)
    return [dict(row) for row in conn.execute(chosen).mappings()]


def _upsert_scoring(scoring: Scoring) -> sa.Executable:
    statement = insert(models.Scoring).values(asdict(scoring))
    compared = ["detector", "windows", "events", "anomalies", "threshold"]
    return statement.on_conflict_do_update(
        index_elements=KEY,
        set_={name: statement.excluded[name] for name in [*compared, "scored_at"]},
        where=sa.or_(
            *(
                getattr(models.Scoring, name).is_distinct_from(statement.excluded[name])
                for name in compared
            )
        ),
    )


def _copy(conn: Connection, scoring: Scoring, found: Sequence[Anomaly]) -> None:
    """COPY the rows into the staging table, as CSV: that quoting holds whatever a log says."""
    shared = {name: getattr(scoring, name) for name in KEY}
    columns = [*KEY, "window_id", *VALUES]
    text = io.StringIO()
    for anomaly in found:
        row = {**asdict(anomaly), **shared}
        row["explanation"] = json.dumps(row["explanation"])
        row["lines"] = json.dumps(row["lines"])
        text.write(",".join(_csv_value(row[name]) for name in columns) + "\n")
    text.seek(0)
    cursor = conn.connection.cursor()
    cursor.copy_expert(
        f"COPY staged_anomalies ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv)", text
    )
    cursor.close()


def _csv_value(value: object) -> str:
    """Quoted always, so that only None is NULL: Python 3.11's `csv` writes "" the same way."""
    return "" if value is None else '"' + str(value).replace('"', '""') + '"'


def _list(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)
