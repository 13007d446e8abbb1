"""What the data checks found, object by object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database.models import Validation

# What a check found; a difference in any of these is news.
FINDING = ("passed", "severity", "reason")


@dataclass(frozen=True, slots=True)
class ValidationRow:
    """One expectation on one object. `reason` says in words what was expected and found."""

    source: str
    batch_id: str
    object_id: str
    object_key: str
    layer: str
    expectation: str
    severity: str
    passed: bool
    reason: str


def record(conn: Connection, results: Sequence[ValidationRow]) -> None:
    """Insert the results, or replace those of the same object, layer and expectation.

    Where the finding is the same the row stays as it is, with the batch and the time it had.
    """
    if not results:
        return
    statement = insert(Validation)
    kept = statement.on_conflict_do_update(
        index_elements=["object_id", "layer", "expectation"],
        set_={
            **{name: statement.excluded[name] for name in (*FINDING, "batch_id")},
            "checked_at": sa.func.now(),
        },
        where=sa.or_(
            *(
                getattr(Validation, name).is_distinct_from(statement.excluded[name])
                for name in FINDING
            )
        ),
    )
    conn.execute(kept, [asdict(result) for result in results])


def history(conn: Connection, source: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The results for a source, the newest first; each row has the columns of the table."""
    query = (
        sa.select(*Validation.__table__.columns)
        .where(Validation.source == source)
        .order_by(Validation.checked_at.desc(), Validation.validation_id.desc())
        .limit(limit)
    )
    return [dict(row) for row in conn.execute(query).mappings()]
