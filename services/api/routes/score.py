"""Logs that are judged now: what the champion of their source says of them. Nothing is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Annotated, Any, BinaryIO, Literal

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include import posted
from include.sources import InvalidSource
from include.workspace import Workspace
from services.api.access import Scorer, Space
from services.api.bodies import media_type, spooled
from services.api.limits import limited
from services.api.problems import Problem, responses
from services.api.routes.anomalies import Finding, Severity

router = APIRouter(prefix="/v1", tags=["score"])
logger = structlog.get_logger()

MOST_BYTES, MOST_LINES = 5 * 10**6, 50_000
MOST_BYTES_STREAMED = 10**9
MOST_ANOMALIES = 500
TO_STREAM = "send it to /v1/score/stream, or in parts"
EXAMPLE_LINES = [
    "2026-11-20 02:14:07,120 INFO store.Api: req=9f31c2aa PUT bucket/7f.bin 18 kB",
    "2026-11-20 02:14:07,480 ERROR store.Disk: req=9f31c2aa checksum of block 41 differs",
]


class ScoreRequest(BaseModel):
    """Lines to judge."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"source": "storage", "lines": [*EXAMPLE_LINES]}]},
    )

    source: str | None = Field(
        default=None, description="whose champion judges; without one, how they read is found out"
    )
    lines: list[str] = Field(min_length=1, description="at most 50,000, oldest first")


class Quarantined(BaseModel):
    line_number: int = Field(description="from one")
    reason: str
    text: str


class OddLine(BaseModel):
    line_number: int = Field(description="from one, in what was sent")
    text: str = Field(description="the message, its first 2,000 characters")


class Found(BaseModel):
    """A window that is flagged, and why."""

    window_start: datetime
    window_end: datetime
    session_key: str | None
    score: float = Field(description="3 is what one normal window in a thousand reaches")
    severity: Severity
    reason: str
    events: int
    explanation: list[Finding] = Field(
        description="the most telling first; ids of templates are null where they are new"
    )
    lines: list[OddLine]


class FoundTemplate(BaseModel):
    template_id: str | None = Field(description="null where it is new")
    text: str
    count: int
    is_new: bool
    example: str = Field(description="the first message of it")


class JudgedBy(BaseModel):
    version: str
    family: str


class Summary(BaseModel):
    """What was sent: lines = events + lines_continued + lines_quarantined."""

    source: str | None = Field(description="null where none was named")
    lines: int
    events: int
    lines_continued: int = Field(description="lines that continue a record")
    lines_quarantined: int
    quarantined: list[Quarantined] = Field(description="the first 20")
    windows: int = Field(description="windows judged")
    anomalies: int = Field(description="windows flagged")
    threshold: float = Field(description="scores above it are flagged")
    model: JudgedBy | None = Field(
        description="the champion; null where the windows were judged against each other"
    )
    templates: int = Field(description="templates among the events")
    new_templates: int = Field(description="of these, those that the source did not have")
    most_frequent: list[FoundTemplate] = Field(description="at most 500 templates")


class Scored(Summary):
    found: list[Found] = Field(description="the oddest first, at most 500")


class FoundLine(Found):
    kind: Literal["anomaly"]


class SummaryLine(Summary):
    kind: Literal["summary"]


class ErrorLine(BaseModel):
    """The last line where judging failed after the answer had begun."""

    kind: Literal["error"]
    detail: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A log as it came, and the source that was named."""

    body: BinaryIO
    source: str | None


Source = Annotated[
    str | None,
    Query(max_length=200, description="whose champion judges; without one, how the log reads is "
          "found out, and its windows are judged against each other"),
]  # fmt: skip


async def _sent(request: Request, source: Source = None) -> Sent:
    """What is to be judged. Raises Problem 413, 415 or 422."""
    with await spooled(request, MOST_BYTES, TO_STREAM) as body:
        text = body.read()
    match media_type(request):
        case "application/json":
            asked = _asked(text)
            text, source = "\n".join(asked.lines).encode(errors="replace"), asked.source or source
        case "text/plain":
            pass
        case other:
            raise Problem(415, f"{other or 'no type'}: send text/plain or application/json")
    if not text.strip():
        raise Problem(422, "no lines: send the lines of a log")
    if len(text.split(b"\n")) > MOST_LINES + text.endswith(b"\n"):
        raise Problem(413, f"more than {MOST_LINES:,} lines: {TO_STREAM}")
    return Sent(BytesIO(text), source)


async def _streamed(request: Request, source: Source = None) -> AsyncIterator[Sent]:
    """The same of a large one, in a file."""
    if media_type(request) != "text/plain":
        raise Problem(415, "send the log as text/plain")
    with await spooled(request, MOST_BYTES_STREAMED, "send it in parts") as body:
        yield Sent(body, source)


def _asked(body: bytes) -> ScoreRequest:
    try:
        return ScoreRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        ) from error


TEXT_BODY = {
    "schema": {"type": "string"},
    "examples": {"storage": {"value": "\n".join(EXAMPLE_LINES)}},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": TEXT_BODY,
            "application/json": {"schema": ScoreRequest.model_json_schema()},
        },
    }
}
# More would only keep each other waiting, and all who read meanwhile.
JUDGED_AT_ONCE = CapacityLimiter(2)
NDJSON: dict[str, Any] = {
    "description": "Lines of JSON; the last is a summary or an error",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
}
STREAM_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"text/plain": TEXT_BODY}}
}


@router.post(
    "/score",
    dependencies=[Depends(limited("score", "120/minute"))],
    responses=responses(400, 404, 413, 415, 429, 503),
    openapi_extra=BODY,
)
async def score(_: Scorer, space: Space, sent: Annotated[Sent, Depends(_sent)]) -> Scored:
    """Judge lines now, by the champion of their source: at most 5 MB and 50,000 of them."""
    return await to_thread.run_sync(_scored, space, sent, limiter=JUDGED_AT_ONCE)


def _scored(space: Workspace, sent: Sent) -> Scored:
    with as_problems():
        log = posted.held(_log_of(space, sent))
        *found, summary = posted.judge(space, log)
    found.sort(key=lambda each: -each["score"])
    return Scored.model_validate({**summary, "found": found[:MOST_ANOMALIES]})


@router.post(
    "/score/stream",
    dependencies=[Depends(limited("stream", "10/minute"))],
    response_class=StreamingResponse,
    responses={200: NDJSON, **responses(400, 404, 413, 415, 429, 503)},
    openapi_extra=STREAM_BODY,
)
def score_stream(
    _: Scorer, space: Space, sent: Annotated[Sent, Depends(_streamed)]
) -> StreamingResponse:
    """Judge a log of up to 1 GB, in parts: a line for each anomaly as it is found, and a summary as
    the last line, or an error where judging came to no end."""
    with as_problems():
        log = _log_of(space, sent)
    return StreamingResponse(_lines(space, log), media_type="application/x-ndjson")


@contextmanager
def as_problems() -> Iterator[None]:
    """What a log may be refused for, as problems."""
    try:
        yield
    except (posted.Unfit, InvalidSource) as error:
        raise Problem(422, str(error)) from error


def _log_of(space: Workspace, sent: Sent) -> posted.Log:
    """Raises Problem 404 where there is no such source."""
    if sent.source is not None and sent.source not in space.sources:
        raise Problem(404, f"no log source {sent.source!r}: `GET /v1/sources` lists them")
    source = space.sources.get(sent.source or "")
    return posted.log_of(sent.body, source, space.settings.chunk_lines)


def _lines(space: Workspace, log: posted.Log) -> Iterator[str]:
    try:
        for document in posted.judge(space, log):
            kind = FoundLine if document["kind"] == "anomaly" else SummaryLine
            yield f"{kind.model_validate(document).model_dump_json()}\n"
    except posted.Unfit as error:
        yield f"{ErrorLine(kind='error', detail=str(error)).model_dump_json()}\n"
    except Exception as error:
        # The answer has begun: its status cannot tell any more.
        logger.exception("unexpected", exc_info=error)
        told = "something failed here; the log tells more"
        yield f"{ErrorLine(kind='error', detail=told).model_dump_json()}\n"
