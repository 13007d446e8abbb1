"""What the data checks found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database.models import Validation

ROWS = 1000


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
    """Insert or replace the results; the same ones again change no row."""
    for start in range(0, len(results), ROWS):
        statement = insert(Validation).values(
            [asdict(result) for result in results[start : start + ROWS]]
        )
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=["object_id", "layer", "expectation"],
                set_={name: statement.excluded[name] for name in ("passed", "reason", "severity")},
                where=Validation.reason.is_distinct_from(statement.excluded.reason),
            )
        )
