"""Sources: what they are, what came in of them, what their nights rest on, and how they do."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from include.database import ledger, source_pages
from include.sources import dump_source
from include.workspace import Workspace
from services.api import paging
from services.api.access import Reader, Space
from services.api.fields import Moment, Text
from services.api.paging import Cursor, Limit, Page
from services.api.problems import Problem, responses
from services.api.routes.anomalies import Source as OfSource

router = APIRouter(prefix="/v1", tags=["sources"])

Name = Annotated[Text, Path(description="of a log source")]
From = Annotated[Moment | None, Query(alias="from", description="starts at this or later")]
To = Annotated[Moment | None, Query(alias="to", description="starts before this")]
LONGEST = timedelta(days=62)


class Source(BaseModel):
    """A log source, and what came in of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "storage",
                    "has_file": True,
                    "format": "log4j",
                    "windowing": "session",
                    "prefix": "storage/",
                    "first_event_utc": "2026-03-01T00:00:02Z",
                    "last_event_utc": "2026-03-05T23:59:45Z",
                    "last_ingest_at": "2026-03-06T00:05:12Z",
                    "templates": 14,
                    "events": 81132,
                    "lines_read": 81150,
                    "lines_quarantined": 18,
                }
            ]
        }
    )

    source: str
    has_file: bool = Field(description="whether there is still a file that describes it")
    format: str | None = Field(description="preset of the line format, or custom")
    windowing: str | None = Field(description="session, time or count")
    prefix: str | None = Field(description="where its objects lie in the bucket of raw logs")
    first_event_utc: datetime | None
    last_event_utc: datetime | None
    last_ingest_at: datetime | None = Field(description="when an object of it was last read")
    templates: int = Field(description="that were not merged into others")
    events: int = Field(description="in all visible objects")
    lines_read: int
    lines_quarantined: int = Field(description="of these, those that did not parse")


class SourceDetail(Source):
    description: str | None = Field(description="its file, as YAML")


class Sources(BaseModel):
    items: list[Source] = Field(description="in order of their names")


class Hour(BaseModel):
    hour_utc: datetime
    events: int
    anomalies: int = Field(description="whose windows start in it, without muted ones")


class Rates(BaseModel):
    items: list[Hour] = Field(description="in order; hours with neither are left out")


class Night(BaseModel):
    """What the judgement of a night rests on: no anomalies is not no logs."""

    source: str
    interval_start: datetime = Field(description="the night: the interval to score")
    interval_end: datetime
    state: Literal["scored", "partly", "not_scored"]
    reason: str = Field(description="the same in words")
    windows: int = Field(description="that were judged")
    anomalies: int = Field(description="of these flagged, muted ones too")
    objects_expected: int | None = Field(description="as the days before had; null for too few")
    objects_arrived: int
    objects_late: int = Field(description="after it was first scored")
    objects_set_aside: int = Field(description="refused whole by the data checks")
    lines_read: int
    events: int
    lines_quarantined: int
    verdict: str = Field(description="of the data checks: passed, warned, refused or unchecked")
    unseen_share: float | None = Field(description="of the events, in templates new to the model")
    first_scored_at: datetime | None


class Measurement(BaseModel):
    """A measure of a source's day beside its bound."""

    source: str
    day: date
    measure: str
    value: float | None = Field(description="null where too little is known")
    bound: float
    is_past: bool = Field(description="whether the value is past the bound")
    reason: str = Field(description="value and what it rests on, in words")
    model_version: str | None
    rests_on: int | None = Field(description="so many events, windows, lines or alerts")
    measured_at: datetime


@router.get("/sources")
def list_sources(space: Space, _: Reader) -> Sources:
    """Every source that has a file or of which anything came in."""
    return Sources(items=[Source.model_validate(row) for row in _rows(space)])


@router.get("/sources/{name}", responses=responses(404))
def get_source(space: Space, _: Reader, name: Name) -> SourceDetail:
    """One source, and what its file says."""
    return SourceDetail.model_validate(_found(space, name))


@router.get("/sources/{name}/rates", responses=responses(404))
def rates(
    space: Space,
    _: Reader,
    name: Name,
    start: Annotated[Moment, Query(alias="from", description="hours that start at this or later")],
    end: Annotated[Moment, Query(alias="to", description="and before this, 62 days on at most")],
) -> Rates:
    """Events of each hour, and the anomalies of it."""
    if not start < end <= _later(start, LONGEST):
        raise Problem(422, "to: must lie after `from`, by 62 days at most")
    _found(space, name)
    with space.engine.connect() as conn:
        events = ledger.hourly_volumes(conn, name, start, end)
        anomalies = source_pages.hourly_anomalies(conn, name, start, end)
    return Rates(
        items=[
            Hour(hour_utc=hour, events=events.get(hour, 0), anomalies=anomalies.get(hour, 0))
            for hour in sorted(events.keys() | anomalies.keys())
        ]
    )


@router.get("/coverage")
def coverage(
    space: Space,
    _: Reader,
    source: OfSource = None,
    start: From = None,
    end: To = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Night]:
    """What arrived of each night, what of it was judged, and what is missing; the newest first."""
    after = paging.decode(cursor, tuple[Moment, Text, Moment])
    with space.engine.connect() as conn:
        rows = source_pages.nights(conn, limit + 1, source, start, end, after)
    return Page[Night](**paging.page_of(rows, limit, "interval_start", "source", "interval_end"))


@router.get("/monitoring")
def monitoring(
    space: Space,
    _: Reader,
    source: OfSource = None,
    start: From = None,
    end: To = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Measurement]:
    """What is measured of each source and UTC day, beside its bounds; the newest day first."""
    after = paging.decode(cursor, tuple[date, Text, Text])
    days = (each and each.date() for each in (start, end))
    with space.engine.connect() as conn:
        rows = source_pages.measurements(conn, limit + 1, source, *days, after=after)
    return Page[Measurement](**paging.page_of(rows, limit, "day", "source", "measure"))


def _rows(space: Workspace) -> list[dict[str, Any]]:
    with space.engine.connect() as conn:
        rows = source_pages.sources(conn, list(space.sources))
    return [row | _of_file(space, row["source"]) for row in rows]


def _of_file(space: Workspace, name: str) -> dict[str, Any]:
    """What the file of a source says now, where it has one."""
    if name not in space.sources:
        return {"has_file": False}
    source = space.sources[name]
    return {
        "has_file": True,
        "format": source.format if isinstance(source.format, str) else "custom",
        "windowing": source.windowing.kind,
        "prefix": source.prefix,
        "description": dump_source(source),
    }


def _found(space: Workspace, name: str) -> dict[str, Any]:
    for row in _rows(space):
        if row["source"] == name:
            return row
    raise Problem(404, f"no log source {name!r}: `GET /v1/sources` lists them")


def _later(moment: datetime, span: timedelta) -> datetime:
    return moment + min(span, datetime.max.replace(tzinfo=moment.tzinfo) - moment)
