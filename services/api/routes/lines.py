"""The lines of the log behind an anomaly, an incident or a template, with what stands around
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from include.database import browsing, catalogue
from include.workspace import Workspace
from services.api.access import Reader, Space
from services.api.problems import Problem, responses
from services.api.routes.anomalies import AnomalyId, found

router = APIRouter(prefix="/v1", tags=["lines"])

Context = Annotated[int, Query(ge=0, le=50, description="lines before and after each")]
Address = tuple[str, int]


class Line(BaseModel):
    """A line of a log: text that others wrote, to be shown as text."""

    line_number: int = Field(description="in its object, from 1")
    text: str = Field(description="what its source redacts is masked")
    is_cut: bool = Field(description="whether it goes on after its first 4,000 characters")
    is_odd: bool = Field(description="whether the anomaly points at it")
    template_id: str | None = Field(description="where a log record starts here")
    template: str | None = Field(description="its name, or else its text")


class Passage(BaseModel):
    """Lines that follow each other."""

    source: str
    object_key: str = Field(description="in the bucket of raw logs")
    lines: list[Line]
    problem: str | None = Field(description="why some or all of the lines are missing")


class Passages(BaseModel):
    items: list[Passage] = Field(description="in order of object and line; none for a rate")


@router.get("/anomalies/{anomaly_id}/lines", responses=responses(404, 409))
def lines_of_anomaly(
    space: Space, _: Reader, anomaly_id: AnomalyId, context: Context = 5
) -> Passages:
    """The lines that an anomaly points at, with lines before and after them."""
    with space.engine.connect() as conn:
        row = found(conn, anomaly_id)
    return Passages(items=passages(space, row["source"], addresses_of(row["lines"]), context))


def addresses_of(lines: Sequence[Mapping[str, Any]]) -> list[Address]:
    return [(each["object_key"], each["line_number"]) for each in lines]


def passages(space: Workspace, source: str, odd: Sequence[Address], context: int) -> list[Passage]:
    """Raises Problem 409 where nobody knows any more what to mask in the source's lines."""
    from include import lines
    from include.lake.events import events_at

    if not odd:
        return []
    if source not in space.sources:
        raise Problem(
            409,
            f"the log source {source} has no file any more: its lines are not shown, since the "
            "file says what to mask in them",
        )
    read = lines.passages(space, space.sources[source], odd, context)
    addresses = [(each.object_key, line.line_number) for each in read for line in each.lines]
    events = events_at(space, source, addresses, ["template_id"])
    with space.engine.connect() as conn:
        merged = catalogue.template_redirects(conn, source)
        template_of = {(key, line): merged.get(each, each) for key, line, each in events.rows()}
        texts = browsing.texts_of(conn, set(template_of.values()))
    return [
        Passage(
            source=source,
            object_key=each.object_key,
            lines=[_line(each.object_key, line, odd, template_of, texts) for line in each.lines],
            problem=each.problem,
        )
        for each in read
    ]


def _line(
    key: str,
    line: Any,
    odd: Sequence[Address],
    template_of: Mapping[Address, str],
    texts: Mapping[str, str],
) -> Line:
    address = (key, line.line_number)
    template = template_of.get(address)
    return Line(
        line_number=line.line_number,
        text=line.text,
        is_cut=line.is_cut,
        is_odd=address in odd,
        template_id=template,
        template=texts.get(template or ""),
    )
