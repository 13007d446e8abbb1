"""Who did what: admins browse the record of actions and take it with them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from include.database import audit
from include.database.audit import Origin, Which
from include.workspace import Workspace
from services.api.access import Admin, Space
from services.api.fields import Moment
from services.api.paging import Cursor, Limit, Page, before_of, page_of

router = APIRouter(prefix="/v1/audit", tags=["audit"])

KINDS = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
COLUMNS = [column.name for column in audit.ENTRY]


class Entry(BaseModel):
    """An action, and what was so before and afterwards, without any secrets."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "audit_id": 5012,
                    "at": "2026-03-02T07:12:09Z",
                    "actor": "ada",
                    "token_id": None,
                    "action": "user.update",
                    "subject": "bob",
                    "origin": "dashboard",
                    "address": "10.1.2.3",
                    "request_id": "0f9c6f0e9d6f4c0e",
                    "before": {"role": "viewer"},
                    "after": {"role": "analyst"},
                }
            ]
        }
    )

    audit_id: int
    at: datetime
    actor: str = Field(description="the name of a user, or nobody where no login was made")
    token_id: int | None = Field(description="the token it was done with; null for a login")
    action: str
    subject: str | None
    origin: Origin
    address: str | None
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def _which(
    actor: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(max_length=200, examples=["session.login"])] = None,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    start: Annotated[Moment | None, Query(alias="from")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="exclusive")] = None,
) -> Which:
    return Which(actor, action, subject, start, end)


Asked = Annotated[Which, Depends(_which)]


@router.get("")
def entries(
    _: Admin, space: Space, which: Asked, cursor: Cursor = None, limit: Limit = 50
) -> Page[Entry]:
    """Actions, the newest first."""
    with space.engine.connect() as conn:
        rows = audit.entries(conn, which, before_of(cursor), limit + 1)
    return Page[Entry](**page_of(rows, limit, "audit_id"))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in KINDS.values()}}},
)
def export(
    _: Admin, space: Space, which: Asked, format: Literal["csv", "ndjson"] = "csv"
) -> StreamingResponse:
    """All of them, as a file, the newest first. In CSV, text that a spreadsheet would take for a
    formula has an apostrophe before it."""
    lines = (_csv if format == "csv" else _ndjson)(space, which)
    named = {"Content-Disposition": f'attachment; filename="audit.{format}"'}
    return StreamingResponse(lines, media_type=KINDS[format], headers=named)


def _ndjson(space: Workspace, which: Which) -> Iterator[str]:
    with space.engine.connect() as conn:
        for row in audit.all_entries(conn, which):
            yield json.dumps(row, default=_told) + "\n"


def _csv(space: Workspace, which: Which) -> Iterator[str]:
    kept = io.StringIO()
    writer = csv.writer(kept)
    writer.writerow(COLUMNS)
    with space.engine.connect() as conn:
        for row in audit.all_entries(conn, which):
            writer.writerow(_cell(row[name]) for name in COLUMNS)
            yield kept.getvalue()
            kept.seek(0)
            kept.truncate()
    yield kept.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, dict) else str(_told(value))
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
