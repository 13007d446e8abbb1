"""Templates: what kinds of messages there are, how often, since when, and a line of each."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from include.database import Connection, catalogue, template_pages
from services.api import etags, paging
from services.api.access import Reader, Space
from services.api.fields import LARGEST_ID, Moment, Text
from services.api.paging import Cursor, Limit, Page
from services.api.problems import Problem, responses
from services.api.routes.anomalies import Search, Source
from services.api.routes.lines import Context, Line, passages

router = APIRouter(prefix="/v1", tags=["templates"])

TemplateId = Annotated[Text, Path(description="as lists give it; also of one that was merged")]
Count = Annotated[int, Field(ge=0, le=LARGEST_ID)]
KEYS: dict[template_pages.Sort, Any] = {
    "count": tuple[Count, Text],
    "first_seen": tuple[Moment, Text],
}


class Template(BaseModel):
    """A message with its variable parts masked, with what was merged into it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "template_id": "79f6f6b9ec7d",
                    "source": "storage",
                    "text": "<*> reply <*> Insufficient Storage",
                    "name": None,
                    "first_seen_utc": "2026-03-05T02:14:00Z",
                    "last_seen_utc": "2026-03-05T13:24:10Z",
                    "count": 12,
                    "per_day": 2.4,
                    "example_object_key": "storage/2026-03-05/02.log.gz",
                    "example_line_number": 310,
                }
            ]
        }
    )

    template_id: str
    source: str
    text: str = Field(description="variable parts as <*>")
    name: str | None = Field(description="what people call it")
    first_seen_utc: datetime | None = Field(description="earliest event time")
    last_seen_utc: datetime | None = Field(description="latest event time")
    count: int = Field(description="events in all visible objects")
    per_day: float = Field(description="events a day, over all the time of its source")
    example_object_key: str | None = Field(description="an object with a line that shows it")
    example_line_number: int | None = Field(description="and the line")


class Day(BaseModel):
    day: date
    events: int


class Change(BaseModel):
    """What became of a template, and who did it."""

    change_id: int
    kind: str = Field(
        description="created, widened, merged, restored, renamed, split, pinned, unpinned or "
        "retired"
    )
    before: str | None = Field(description="its text, or its name where it was renamed")
    after: str | None = Field(description="the same afterwards")
    merged_into: str | None
    changed_by: str = Field(description="a person, or ingest")
    note: str
    changed_at: datetime


class History(BaseModel):
    days: list[Day] = Field(
        description="UTC days with events, in order; what an object holds counts on the day of "
        "the template's first event in it"
    )
    changes: list[Change] = Field(description="the oldest first")


class Example(BaseModel):
    """A line that shows a template, with what stands around it."""

    source: str
    object_key: str | None
    lines: list[Line]
    problem: str | None = Field(description="why some or all of the lines are missing")


@router.get("/templates")
def list_templates(
    space: Space,
    _: Reader,
    source: Source = None,
    q: Search = None,
    new_since: Annotated[
        Moment | None, Query(description="only those whose first event is not before it")
    ] = None,
    sort: Annotated[
        template_pages.Sort,
        Query(description="count: the most frequent first; first_seen: the newest first"),
    ] = "count",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Template]:
    """Templates. A text `q` is looked for in their texts and names; an id finds its template."""
    after = paging.decode(cursor, KEYS[sort])
    with space.engine.connect() as conn:
        rows = template_pages.page(conn, limit + 1, source, q or None, new_since, sort, after)
    return Page[Template](
        **paging.page_of(rows, limit, "place", "template_id", as_item=_as_template)
    )


@router.get(
    "/templates/{template_id}",
    response_model=Template,
    responses={**responses(404), **etags.NOT_MODIFIED},
)
def get_template(space: Space, request: Request, _: Reader, template_id: TemplateId) -> Response:
    """One template, or what it was merged into."""
    with space.engine.connect() as conn:
        return etags.answer(request, _as_template(_found(conn, template_id)))


@router.get("/templates/{template_id}/history", responses=responses(404))
def history(space: Space, _: Reader, template_id: TemplateId) -> History:
    """How many events it had on each day, and what became of it."""
    with space.engine.connect() as conn:
        found = _found(conn, template_id)["template_id"]
        days = template_pages.by_day(conn, found)
        changes = catalogue.template_history(conn, template_id=found)
    return History.model_validate({"days": days, "changes": changes})


@router.get("/templates/{template_id}/example", responses=responses(404, 409))
def example(space: Space, _: Reader, template_id: TemplateId, context: Context = 5) -> Example:
    """A line that shows it, with lines before and after."""
    with space.engine.connect() as conn:
        row = _as_template(_found(conn, template_id))
    if row.example_object_key is None or row.example_line_number is None:
        return Example(
            source=row.source, object_key=None, lines=[], problem="no visible object holds it"
        )
    address = (row.example_object_key, row.example_line_number)
    (passage,) = passages(space, row.source, [address], context)
    return Example.model_validate(passage.model_dump())


def _found(conn: Connection, template_id: str) -> dict[str, Any]:
    row = template_pages.template(conn, template_id)
    if row is None:
        raise Problem(404, f"no template {template_id!r}: `GET /v1/templates` lists them")
    return row


def _as_template(row: dict[str, Any]) -> Template:
    """A row of the view, with the address of its example in two."""
    key, _, line = (row["example"] or "").rpartition(":")
    address = {"example_object_key": key or None, "example_line_number": int(line or 0) or None}
    return Template.model_validate({**row, **address})
