"""Incidents: in pages, one with what is known of it, past ones that are like it, and that it is
over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from include.database import Connection, audit, browsing, incident_pages, incidents
from include.database.anomalies import NoSuchAnomaly
from include.database.incident_pages import Wanted
from include.database.incidents import InvalidResolution
from services.api import etags, paging
from services.api.access import Judge, Reader, Space
from services.api.fields import Moment, Reason, Text
from services.api.paging import Cursor, Limit, Page
from services.api.problems import Problem, responses
from services.api.routes.anomalies import KEYS as ANOMALY_KEYS
from services.api.routes.anomalies import (
    Anomaly,
    Finding,
    MinimumSeverity,
    Search,
    Severity,
    Source,
    as_page,
    id_of,
    resolved,
    templates_of,
)
from services.api.routes.lines import Context, Passages, addresses_of, passages

router = APIRouter(prefix="/v1", tags=["incidents"])

IncidentId = Annotated[Text, Path(description="as lists give it")]
State = Literal["open", "ongoing", "resolved", "expired"]
KEY = tuple[Moment, int, float, Text]
# Of so many, the oddest, the lines are shown.
WITH_LINES = 5
# So many past anomalies are looked at to find the incidents that they were in.
ALIKE = 200


class Incident(BaseModel):
    """Anomalies that are alike and near in time, told as one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "incident_id": "0a0b0c0d0e0f",
                    "title": "storage: 24 sessions hold “<*> reply <*> Insufficient Storage”, "
                    "never seen before, first seen 13:20",
                    "reason": "never seen before: “<*> reply <*> Insufficient Storage”",
                    "signature": "new:79f6f6b9ec7d",
                    "sources": ["storage"],
                    "started_at": "2026-03-05T13:20:25Z",
                    "ended_at": "2026-03-05T13:58:02Z",
                    "first_night": "2026-03-05T00:00:00Z",
                    "last_night": "2026-03-05T00:00:00Z",
                    "anomalies": 24,
                    "sessions": 24,
                    "severity": "critical",
                    "score": 3.4,
                    "component": "storage.Writer",
                    "level": "ERROR",
                    "state": "open",
                    "resolved_by": None,
                    "resolved_at": None,
                    "resolved_reason": None,
                    "alerted_at": "2026-03-06T02:14:09Z",
                    "updated_at": "2026-03-06T02:14:09Z",
                }
            ]
        }
    )

    incident_id: str
    title: str = Field(description="what happened, in a line")
    reason: str = Field(description="why its oddest anomaly is one, in words")
    signature: str = Field(description="the kind of the anomaly that founded it")
    sources: list[str]
    started_at: datetime = Field(description="start of its earliest window")
    ended_at: datetime = Field(description="end of its latest window")
    first_night: datetime = Field(description="start of the interval that it came first in")
    last_night: datetime = Field(description="and of the one that it came last in")
    anomalies: int = Field(description="how many; 0 where none of them stands any more")
    sessions: int = Field(description="sessions among them")
    severity: Severity = Field(description="by score, novelty, breadth and log level")
    score: float = Field(description="the highest of its anomalies")
    component: str | None = Field(description="what logs the lines of the one that founded it")
    level: str | None = Field(description="the worst log level of these lines")
    state: State = Field(
        description="open; ongoing: it came on later nights too; resolved: a person said so; "
        "expired: nothing of it for seven nights"
    )
    resolved_by: str | None
    resolved_at: datetime | None
    resolved_reason: str | None
    alerted_at: datetime | None = Field(description="when people were told")
    updated_at: datetime


class OfSource(BaseModel):
    source: str
    anomalies: int


class OfKind(BaseModel):
    """A kind of anomaly, and how many of it there are."""

    source: str
    signature: str
    texts: list[str] = Field(description="of the templates that it names, or their names")
    anomalies: int
    score: float = Field(description="the highest")


class OfNight(BaseModel):
    night: datetime
    anomalies: int
    score: float = Field(description="the highest")


class Said(BaseModel):
    """What somebody said of an incident or of one of its anomalies."""

    feedback_id: int
    verdict: Literal["true", "false", "expected"]
    reason: str
    author: str
    given_at: datetime
    until: datetime | None


class IncidentDetail(Incident):
    """The same with all that is known of it."""

    by_source: list[OfSource]
    kinds: list[OfKind] = Field(description="the most frequent first")
    history: list[OfNight] = Field(description="night by night")
    feedback: list[Said] = Field(description="what people said of it, the newest first")
    oddest_id: str | None = Field(description="the anomaly with the highest score")
    explanation: list[Finding] = Field(description="why that one is odd, the most telling first")


class IncidentAlike(Incident):
    """A past incident beside a later one."""

    similarity: float = Field(description="of the anomalies that are most alike, up to 1")
    is_anomalous: bool | None = Field(description="what people say of that past anomaly")
    feedback: list[Said]


class Alike(BaseModel):
    items: list[IncidentAlike] = Field(description="the most alike first")


class Resolution(BaseModel):
    reason: Reason = Field(description="for those who read it later")


@router.get("/incidents", response_model=Page[Incident], responses=etags.NOT_MODIFIED)
def list_incidents(
    space: Space,
    request: Request,
    _: Reader,
    source: Source = None,
    state: Annotated[
        list[State] | None, Query(max_length=4, description="in this state; may be given often")
    ] = None,
    minimum_severity: MinimumSeverity = "low",
    start: Annotated[
        Moment | None, Query(alias="from", description="ends at this or later")
    ] = None,
    end: Annotated[Moment | None, Query(alias="to", description="starts before this")] = None,
    q: Search = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Incidents, those of the newest night first, and of each night the worst first.

    A text `q` is looked for in titles and reasons.
    """
    wanted = Wanted(source, state or (), minimum_severity, start, end, q or None)
    after = paging.decode(cursor, KEY)
    with space.engine.connect() as conn:
        rows = incident_pages.page(conn, wanted, limit + 1, after)
    page = paging.page_of(rows, limit, "last_night", "rank", "score", "incident_id")
    return etags.answer(request, Page[Incident](**page))


@router.get(
    "/incidents/{incident_id}",
    response_model=IncidentDetail,
    responses={**responses(404), **etags.NOT_MODIFIED},
)
def get_incident(space: Space, request: Request, _: Reader, incident_id: IncidentId) -> Response:
    """One incident: where and when it came, of what kinds it is, why its oddest anomaly is one,
    and what people said."""
    with space.engine.connect() as conn:
        row = _found(conn, incident_id)
        kinds = incident_pages.by_kind(conn, incident_id)
        oddest = next(iter(incident_pages.oddest(conn, incident_id, 1)), None)
        findings = oddest["explanation"] if oddest else []
        in_kinds = [key for kind in kinds for key in _templates_of(kind["signature"])]
        texts = browsing.texts_of(conn, {*templates_of(findings), *in_kinds})
        told = {
            "by_source": incident_pages.by_source(conn, incident_id),
            "history": incident_pages.by_night(conn, incident_id),
            "feedback": incident_pages.said_of(conn, [incident_id]),
        }
    told["kinds"] = [
        {**kind, "texts": [texts.get(key, key) for key in _templates_of(kind["signature"])]}
        for kind in kinds
    ]
    told["oddest_id"] = oddest and id_of(oddest["source"], oddest["night"], oddest["window_id"])
    told["explanation"] = resolved(findings, texts)
    return etags.answer(request, IncidentDetail.model_validate({**row, **told}))


@router.get("/incidents/{incident_id}/anomalies", responses=responses(404))
def anomalies_of_incident(
    space: Space, _: Reader, incident_id: IncidentId, cursor: Cursor = None, limit: Limit = 50
) -> Page[Anomaly]:
    """Its anomalies, the oddest first; those too that feedback has muted since."""
    after = paging.decode(cursor, ANOMALY_KEYS["score"])
    wanted = browsing.Wanted(incident_id=incident_id, muted=True)
    with space.engine.connect() as conn:
        _found(conn, incident_id)
        rows = browsing.page(conn, wanted, limit + 1, after, "score")
    return as_page(rows, limit, "score")


@router.get("/incidents/{incident_id}/lines", responses=responses(404, 409))
def lines_of_incident(
    space: Space, _: Reader, incident_id: IncidentId, context: Context = 5
) -> Passages:
    """The lines that its oddest anomalies point at, five at most, with lines before and after."""
    with space.engine.connect() as conn:
        _found(conn, incident_id)
        oddest = incident_pages.oddest(conn, incident_id, WITH_LINES)
    odd: dict[str, dict[tuple[str, int], None]] = {}
    for each in oddest:
        odd.setdefault(each["source"], {}).update(dict.fromkeys(addresses_of(each["lines"])))
    return Passages(
        items=[
            passage
            for source, addresses in sorted(odd.items())
            for passage in passages(space, source, list(addresses), context)
        ]
    )


@router.get("/incidents/{incident_id}/similar", responses=responses(404))
def similar_incidents(
    space: Space,
    _: Reader,
    incident_id: IncidentId,
    limit: Annotated[int, Query(ge=1, le=50, description="at most so many")] = 5,
) -> Alike:
    """The past incidents whose anomalies are most like its oddest one, and what people said of
    them."""
    with space.engine.connect() as conn:
        _found(conn, incident_id)
        oddest = incident_pages.oddest(conn, incident_id, 1)
    alike = _past_of(space, incident_id, oddest[0], limit) if oddest else {}
    with space.engine.connect() as conn:
        known = incident_pages.incidents_of(conn, list(alike))
        said = incident_pages.said_of(conn, list(alike))
    return Alike(
        items=[
            IncidentAlike.model_validate(
                {
                    **known[each],
                    **like,
                    "feedback": [row for row in said if row["said_of"] == each],
                }
            )
            for each, like in alike.items()
            if each in known
        ]
    )


@router.post(
    "/incidents/{incident_id}/resolve", response_model=Incident, responses=responses(404, 409)
)
def resolve_incident(
    space: Space, caller: Judge, incident_id: IncidentId, given: Resolution
) -> Incident:
    """Say that an incident is over: what is alike and comes later founds another one."""
    with space.engine.begin() as conn:
        before = _found(conn, incident_id)
        try:
            incidents.resolve(conn, incident_id, caller.identity.name, given.reason)
        except InvalidResolution as error:
            raise Problem(409, str(error)) from error
        after = _found(conn, incident_id)
        audit.record(
            conn,
            caller.actor,
            "incident.resolve",
            incident_id,
            {"state": before["state"]},
            {"state": after["state"], "reason": given.reason},
        )
    return Incident.model_validate(after)


def _found(conn: Connection, incident_id: str) -> dict[str, Any]:
    row = incident_pages.incident(conn, incident_id)
    if row is None:
        raise Problem(404, f"no incident {incident_id!r}: `GET /v1/incidents` lists them")
    return row


def _templates_of(signature: str) -> list[str]:
    """The templates that a kind names, such as `missing:ab12|order:cd34>ef56`; none for a rate."""
    if signature.startswith("rate:"):
        return []
    return [key for part in signature.split("|") for key in re.split("[:>]", part)[1:]]


def _past_of(
    space: Space, incident_id: str, oddest: Mapping[str, Any], limit: int
) -> dict[str, dict[str, Any]]:
    """By the ids of past incidents, how much the most alike anomaly of each is so, and what people
    said of it; the most alike first."""
    from include.memory import similar

    try:
        _newest, past = similar(space, oddest["source"], oddest["window_id"], ALIKE)
    except NoSuchAnomaly:
        return {}
    with space.engine.connect() as conn:
        places = [(each["night"], each["window_id"]) for each in past]
        rows = browsing.anomalies_at(conn, oddest["source"], places)
    incident_of = {(row["night"], row["window_id"]): row["incident_id"] for row in rows}
    alike: dict[str, dict[str, Any]] = {}
    for each in past:
        known = incident_of.get((each["night"], each["window_id"]))
        if known not in (None, incident_id, *alike) and len(alike) < limit:
            alike[known] = {name: each[name] for name in ("similarity", "is_anomalous")}
    return alike
