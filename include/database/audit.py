"""The record of actions: who did what, from where. The database refuses to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database.account_tables import AuditEntry

Origin = Literal["api", "dashboard", "airflow", "cli"]
NOBODY = "nobody"


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
    conn.execute(
        sa.insert(AuditEntry.__table__).values(  # type: ignore[arg-type]
            **asdict(who), action=action, subject=subject, before=before, after=after
        )
    )
