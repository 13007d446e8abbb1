"""The rows of an interval, replaced whole: how anomalies and shadow scores are written.

Two tables belong together: one says that an interval was scored, the other holds a row for each
window that was found in it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database import SCHEMA, models

INTERVAL = ("source", "interval_start", "interval_end")
WINDOW = "window_id"
WHEN = "scored_at"

Scorings = type[models.Scoring] | type[models.ShadowScoring]
Rows = type[models.Anomaly] | type[models.ShadowScore]


def replace_interval(
    conn: Connection,
    scorings: Scorings,
    rows: Rows,
    scoring: Mapping[str, Any],
    found: Sequence[Mapping[str, Any]],
) -> None:
    """Make the rows of an interval and its models exactly these; call it within a transaction.

    scoring: every column of `scorings`; its primary key is the interval and the models.
    found: every other column of `rows`.

    The rows come by COPY into a table of their own and from there in one upsert. Rows that are
    the same already are not touched, so that scoring again changes nothing, except that models
    which others had overtaken become the latest of the interval again. Raises
    psycopg2.DataError where a text holds a NUL, which Postgres cannot store.
    """
    interval = "|".join(str(scoring[name]) for name in INTERVAL)
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(interval, 1))))
    conn.execute(_upsert(scorings, scoring))
    key = {name: scoring[name] for name in _key_of(scorings)}
    if _replace_rows(conn, rows, key, found) or _is_overtaken(conn, scorings, key):
        conn.execute(
            sa.update(scorings).where(*_same(scorings, key)).values(scored_at=scoring[WHEN])
        )


def _replace_rows(
    conn: Connection, table: Rows, key: Mapping[str, Any], found: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether any row was removed, added or changed."""
    name = table.__tablename__
    conn.execute(
        sa.text(f"CREATE TEMPORARY TABLE staged_{name} (LIKE {SCHEMA}.{name}) ON COMMIT DROP")
    )
    columns = [column.name for column in table.__table__.columns]
    _copy(conn, f"staged_{name}", columns, [{**key, **row} for row in found])
    values = [column for column in columns if column not in (*key, WINDOW)]
    same_interval = " AND ".join(f"r.{column} = :{column}" for column in key)
    differs = f"({_list('r', values)}) IS DISTINCT FROM ({_list('EXCLUDED', values)})"
    removed = conn.execute(
        sa.text(
            f"DELETE FROM {SCHEMA}.{name} AS r WHERE {same_interval} "  # noqa: S608  our names
            f"AND NOT EXISTS (SELECT FROM staged_{name} AS s WHERE s.{WINDOW} = r.{WINDOW})"
        ),
        key,
    ).rowcount
    changed = conn.execute(
        sa.text(
            f"INSERT INTO {SCHEMA}.{name} AS r ({', '.join(columns)}) "  # noqa: S608  our names
            f"SELECT {', '.join(columns)} FROM staged_{name} "
            f"ON CONFLICT ({', '.join([*key, WINDOW])}) DO UPDATE "
            f"SET {', '.join(f'{column} = EXCLUDED.{column}' for column in values)} WHERE {differs}"
        )
    ).rowcount
    conn.execute(sa.text(f"DROP TABLE staged_{name}"))
    return bool(removed or changed)


def _is_overtaken(conn: Connection, scorings: Scorings, key: Mapping[str, Any]) -> bool:
    """Whether others have scored the interval since these models last changed a row."""
    interval = {name: key[name] for name in INTERVAL}
    own = sa.select(scorings.scored_at).where(*_same(scorings, key)).scalar_subquery()
    newest = sa.select(sa.func.max(scorings.scored_at)).where(*_same(scorings, interval))
    return bool(conn.scalar(sa.select(newest.scalar_subquery() > own)))


def _same(scorings: Scorings, key: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [getattr(scorings, name) == value for name, value in key.items()]


def _upsert(scorings: Scorings, scoring: Mapping[str, Any]) -> sa.Executable:
    key = _key_of(scorings)
    statement = insert(scorings).values(dict(scoring))
    compared = [name for name in scoring if name not in (*key, WHEN)]
    return statement.on_conflict_do_update(
        index_elements=key,
        set_={name: statement.excluded[name] for name in [*compared, WHEN]},
        where=sa.or_(
            *(
                getattr(scorings, name).is_distinct_from(statement.excluded[name])
                for name in compared
            )
        ),
    )


def _key_of(scorings: Scorings) -> list[str]:
    return [column.name for column in scorings.__table__.primary_key]


def _copy(
    conn: Connection, staged: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """COPY the rows into the staging table, as CSV: that quoting holds whatever a log says."""
    text = io.StringIO()
    for row in rows:
        text.write(",".join(_csv_value(row[name]) for name in columns) + "\n")
    text.seek(0)
    cursor = conn.connection.cursor()
    cursor.copy_expert(f"COPY {staged} ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv)", text)
    cursor.close()


def _csv_value(value: object) -> str:
    """Quoted always, so that only None is NULL: Python 3.11's `csv` writes "" the same way."""
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, list) else str(value)
    return '"' + text.replace('"', '""') + '"'


def _list(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)
