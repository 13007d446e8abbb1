"""The record of actions: who did what, from where. The database refuses to change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database.account_tables import AuditEntry

Origin = Literal["api", "dashboard", "airflow", "cli"]
NOBODY = "nobody"
ENTRY = tuple(AuditEntry.__table__.c)
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where; see the columns of `audit_log`."""

    actor: str
    origin: Origin
    token_id: int | None = None
    address: str | None = None
    request_id: str | None = None


def record(
    conn: Connection,
    who: Actor,
    action: str,
    subject: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down an action, in the transaction that does it: neither is there without the other.

    action: `subject.verb`. before, after: what JSON can hold, and no secret.
    """
    # Inline: who only adds may not read the number of the row.
    row = sa.insert(AuditEntry.__table__).inline()  # type: ignore[arg-type]
    values = asdict(who) | {"action": action, "subject": subject, "before": before, "after": after}
    conn.execute(row.values(values))


def may_read(conn: Connection) -> bool:
    """Whether this login reads the record, too: a writer's only adds to it."""
    table = AuditEntry.__table__.fullname  # type: ignore[attr-defined]
    return bool(conn.scalar(sa.select(sa.func.has_table_privilege(table, "SELECT"))))


@dataclass(frozen=True, slots=True)
class Which:
    """Which entries: those by somebody, of an action, of a subject, from a moment up to another.
    None for all."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def entries(conn: Connection, which: Which, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Entries, the newest first, from the one before `before` on."""
    query = _query(which).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.audit_id < before)
    return [dict(row) for row in conn.execute(query).mappings()]


def all_entries(conn: Connection, which: Which) -> Iterator[dict[str, Any]]:
    """All of them, as they come from the database, the newest first."""
    streamed = conn.execution_options(yield_per=AT_ONCE).execute(_query(which))
    for row in streamed.mappings():
        yield dict(row)


def _query(which: Which) -> sa.Select[Any]:
    query = sa.select(*ENTRY).order_by(AuditEntry.audit_id.desc())
    for name in ("actor", "action", "subject"):
        wanted = getattr(which, name)
        if wanted is not None:
            query = query.where(getattr(AuditEntry, name) == wanted)
    if which.start is not None:
        query = query.where(AuditEntry.at >= which.start)
    if which.end is not None:
        query = query.where(AuditEntry.at < which.end)
    return query
