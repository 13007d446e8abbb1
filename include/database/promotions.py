"""What the gate said of each challenger, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database import audit
from include.database.models import Promotion

GATE = "gate"
# The outcomes that another champion comes with, as the record of actions calls them. They are
# written down here and not by a listener of Airflow: in the transaction of the outcome, so that
# neither is there without the other, and also where people roll back outside of Airflow.
MOVES = {
    "promoted": "model.promote",
    "rolled_back": "model.roll_back",
    "moved_back": "model.roll_back",
}
TOLD = (Promotion.source, Promotion.dag_run_id, Promotion.version, Promotion.champion_before)


def record(conn: Connection, row: Mapping[str, Any], origin: audit.Origin = "airflow") -> None:
    """Insert the verdict of a DAG run on a source, or replace what it said before it was killed.

    A row whose outcome is known already is left alone.
    """
    statement = insert(Promotion).values(**row)
    given = {name: statement.excluded[name] for name in row if name not in ("source", "dag_run_id")}
    written = conn.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "dag_run_id"],
            set_={**given, "decided_at": sa.func.now()},
            where=Promotion.outcome == "waiting",
        ).returning(*TOLD)
    )
    _audit(conn, written.one_or_none(), row["outcome"], audit.Actor(row["decided_by"], origin))


def decide(
    conn: Connection,
    source: str,
    dag_run_id: str,
    outcome: str,
    decided_by: str = GATE,
    origin: audit.Origin = "airflow",
) -> None:
    """Say what became of the challenger of a DAG run."""
    written = conn.execute(
        sa.update(Promotion)
        .where(
            Promotion.source == source,
            Promotion.dag_run_id == dag_run_id,
            Promotion.outcome.is_distinct_from(outcome),
        )
        .values(outcome=outcome, decided_by=decided_by, decided_at=sa.func.now())
        .returning(*TOLD)
    )
    _audit(conn, written.one_or_none(), outcome, audit.Actor(decided_by, origin))


def _audit(conn: Connection, row: Any, outcome: str, who: audit.Actor) -> None:
    if row is None or outcome not in MOVES:
        return
    before, after = {"version": row.champion_before}, {"version": row.version}
    if outcome == "moved_back":
        before, after = after, before
    after["dag_run_id"] = row.dag_run_id
    audit.record(conn, who, MOVES[outcome], row.source, before, after)


def history(
    conn: Connection, source: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """The newest first."""
    return _rows(conn, source, sa.true(), limit)


def page(conn: Connection, source: str, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Those of a source, the newest first, from the row before the `promotion_id` on."""
    earlier = sa.true() if before is None else Promotion.promotion_id < before
    return _rows(conn, source, earlier, limit)


def of_run(conn: Connection, dag_run_id: str, source: str | None = None) -> list[dict[str, Any]]:
    """What a run has said, of each source or of one."""
    return _rows(conn, source, Promotion.dag_run_id == dag_run_id)


def _rows(
    conn: Connection,
    source: str | None,
    condition: sa.ColumnElement[bool],
    limit: int | None = None,
) -> list[dict[str, Any]]:
    query = sa.select(*Promotion.__table__.columns).where(condition)
    if source is not None:
        query = query.where(Promotion.source == source)
    newest_first = query.order_by(Promotion.promotion_id.desc()).limit(limit)
    return [dict(row) for row in conn.execute(newest_first).mappings()]
