"""Anomalies: in pages, one with its explanation, its lines, and the past ones it is like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from include.database import Connection, browsing
from include.database.browsing import Wanted
from services.api import etags, paging
from services.api.access import Reader, Space
from services.api.fields import Moment, Text
from services.api.paging import Cursor, Limit, Page
from services.api.problems import Problem, responses

router = APIRouter(prefix="/v1", tags=["anomalies"])

Severity = Literal["low", "medium", "high", "critical"]
Source = Annotated[Text | None, Query(description="of one log source")]
MinimumSeverity = Annotated[Severity, Query(description="of this severity or a worse one")]
AnomalyId = Annotated[str, Path(description="as lists give it", max_length=2000)]
From = Annotated[Moment | None, Query(alias="from", description="starts at this or later")]
To = Annotated[Moment | None, Query(alias="to", description="starts before this")]
Search = Annotated[Text | None, Query(max_length=200, description="part of it, whatever its case")]
# Source, night and window.
Address = tuple[Text, Moment, Text]
KEYS: dict[browsing.Sort, Any] = {
    "time": tuple[Moment, Text, Text, Moment],
    "score": tuple[float, Moment, Text, Text, Moment],
}
# What the rows call the columns that they are sorted by.
SHOWN_AS = {"window_start": "time", "interval_start": "night"}
EXAMPLE = {
    "id": "WyJzdG9yYWdlIiwiMjAyNi0wMy0wNVQwMDowMDowMCswMDowMCIsIjI0NWM5MDQxIl0",
    "source": "storage",
    "night": "2026-03-05T00:00:00Z",
    "time": "2026-03-05T13:20:25Z",
    "window_end": "2026-03-05T13:24:10Z",
    "window_id": "245c9041",
    "session": "245c9041",
    "score": 3.4,
    "threshold": 2.1,
    "severity": "high",
    "reason": "never seen before: “<*> reply <*> Insufficient Storage”",
    "detector": "novelty",
    "model_version": "1",
    "events": 12,
    "signature": "new:79f6f6b9ec7d",
    "muted_by": None,
    "incident_id": "0a0b0c0d0e0f",
}


class Anomaly(BaseModel):
    """A window worth reading, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str = Field(description="names it in addresses of this API")
    source: str
    night: datetime = Field(description="start of the interval that it was judged in")
    time: datetime = Field(description="first event of the window, or start of its time")
    window_end: datetime
    window_id: str
    session: str | None = Field(description="where windows are sessions")
    score: float = Field(description="high is anomalous: of normal windows one in 10^score")
    threshold: float = Field(description="what the score was above")
    severity: Severity
    reason: str = Field(description="why, in words")
    detector: str = Field(description="the family of the detector; `rate` is none of a window")
    model_version: str
    events: int
    signature: str = Field(description="its kind: what was odd of which templates")
    muted_by: int | None = Field(description="the feedback that mutes it")
    incident_id: str | None


class Finding(BaseModel):
    """One difference from normal."""

    kind: str = Field(
        description="new, missing, more, fewer, order, value, late or habit; of rates silence, few "
        "or many"
    )
    template_id: str | None = None
    text: str | None = Field(default=None, description="of the template, or its name")
    expected: float | None = Field(default=None, description="so often it is usual")
    found: float | None = Field(default=None, description="so often it was found")
    share: float | None = Field(default=None, description="of the score; all sum to one")
    followed_by: str | None = Field(default=None, description="out of order: by this template")
    followed_by_text: str | None = None
    value: dict[str, Any] | None = Field(
        default=None,
        description="a number outside its range: place, number, low, high; place -1 is the pause",
    )
    habit: dict[str, Any] | None = Field(
        default=None, description="what is new of an entity: entity, windows, seen, at_least"
    )


class LineAddress(BaseModel):
    object_key: str = Field(description="in the bucket of raw logs")
    line_number: int = Field(description="from 1")


class AnomalyDetail(Anomaly):
    """The same with why it is odd."""

    explanation: list[Finding] = Field(description="the most telling first")
    lines: list[LineAddress] = Field(description="of the log, the most telling first")
    sequence: list[str] = Field(
        description="the templates of its events, in order; the first 1,000"
    )
    templates: dict[str, str] = Field(description="the texts of these templates, by id")
    is_anomalous: bool | None = Field(description="what people say; null for nothing")


class AnomalyAlike(Anomaly):
    """A past anomaly beside a later one."""

    similarity: float = Field(description="1 with the same events, 0 with none in common")
    is_anomalous: bool | None = Field(description="what people say; null for nothing")


class Alike(BaseModel):
    items: list[AnomalyAlike] = Field(description="the most alike first")


def as_anomaly(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `browsing` with its id."""
    return {**row, "id": id_of(row["source"], row["night"], row["window_id"])}


def id_of(source: str, night: datetime, window_id: str) -> str:
    return paging.encode(source, night.isoformat(), window_id)


def found(conn: Connection, anomaly_id: str) -> dict[str, Any]:
    """The row that an id names. Raises Problem 404."""
    try:
        row = browsing.anomaly(conn, *paging.unpacked(anomaly_id, Address))
    except ValueError:  # no id that this API has given
        row = None
    if row is None:
        raise Problem(404, "no such anomaly: `GET /v1/anomalies` lists them")
    return row


def templates_of(findings: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of the templates that findings name."""
    named = (each.get(name) for each in findings for name in ("template_id", "followed_by"))
    return set(filter(None, named))


def resolved(findings: Iterable[Mapping[str, Any]], texts: Mapping[str, str]) -> list[Finding]:
    """Findings with the texts of the templates that they name."""
    return [
        Finding.model_validate(
            {
                **each,
                "text": texts.get(each.get("template_id") or ""),
                "followed_by_text": texts.get(each.get("followed_by") or ""),
            }
        )
        for each in findings
    ]


@router.get("/anomalies", response_model=Page[Anomaly], responses=etags.NOT_MODIFIED)
def list_anomalies(
    space: Space,
    request: Request,
    _: Reader,
    source: Source = None,
    minimum_severity: MinimumSeverity = "low",
    start: From = None,
    end: To = None,
    session: Annotated[Text | None, Query(description="of one session")] = None,
    q: Search = None,
    incident: Annotated[Text | None, Query(description="of one incident, by its id")] = None,
    muted: Annotated[bool, Query(description="list those too that feedback mutes")] = False,
    sort: Annotated[
        browsing.Sort,
        Query(description="time: the newest first; score: the oddest first"),
    ] = "time",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Anomalies of the newest judgement of each night.

    A text `q` is looked for in the reasons, row by row, and the oddest of a period are sorted: both
    take the longer the more there is to look through, so that with them a period should be short.
    """
    wanted = Wanted(source, minimum_severity, start, end, session, q or None, incident, muted)
    after = paging.decode(cursor, KEYS[sort])
    with space.engine.connect() as conn:
        rows = browsing.page(conn, wanted, limit + 1, after, sort)
    return etags.answer(request, as_page(rows, limit, sort))


def as_page(rows: list[dict[str, Any]], limit: int, sort: browsing.Sort) -> Page[Anomaly]:
    """What is known of `limit` anomalies, where one more was asked for."""
    key = (SHOWN_AS.get(name, name) for name in browsing.ORDERS[sort])
    return Page[Anomaly](
        **paging.page_of(
            rows, limit, *key, as_item=lambda row: Anomaly.model_construct(**as_anomaly(row))
        )
    )


@router.get(
    "/anomalies/{anomaly_id}",
    response_model=AnomalyDetail,
    responses={**responses(404), **etags.NOT_MODIFIED},
)
def get_anomaly(space: Space, request: Request, _: Reader, anomaly_id: AnomalyId) -> Response:
    """One anomaly, why it is one, and what people say of it."""
    with space.engine.connect() as conn:
        row = found(conn, anomaly_id)
        findings = row["explanation"]
        texts = browsing.texts_of(conn, {*templates_of(findings), *row["sequence"]})
    detail = AnomalyDetail.model_validate(
        {**as_anomaly(row), "explanation": resolved(findings, texts), "templates": texts}
    )
    return etags.answer(request, detail)


@router.get("/anomalies/{anomaly_id}/similar", responses=responses(404))
def similar_anomalies(
    space: Space,
    _: Reader,
    anomaly_id: AnomalyId,
    limit: Annotated[int, Query(ge=1, le=50, description="at most so many")] = 5,
) -> Alike:
    """The past anomalies of its source that are most like it, by the events of their windows, and
    what people said of them."""
    from include.memory import similar

    with space.engine.connect() as conn:
        row = found(conn, anomaly_id)
    _newest, past = similar(space, row["source"], row["window_id"], limit)
    with space.engine.connect() as conn:
        rows = browsing.anomalies_at(
            conn, row["source"], [(each["night"], each["window_id"]) for each in past]
        )
    known = {(each["night"], each["window_id"]): each for each in rows}
    return Alike(
        items=[
            AnomalyAlike.model_validate({**as_anomaly(known[place]), **each})
            for each in past
            if (place := (each["night"], each["window_id"])) in known
        ]
    )
