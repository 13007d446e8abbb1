"""A sample of a log that is not known yet: how it reads, and what it would become."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from include import posted
from include.sources import LogSource, dump_source, read_source
from include.sources.detect import OWN_EXPRESSION, source_name
from include.workspace import Workspace
from services.api.access import Scorer, Space
from services.api.bodies import blocks, media_type, spooled
from services.api.limits import limited
from services.api.problems import Problem, responses
from services.api.routes.score import JUDGED_AT_ONCE, FoundTemplate, Quarantined, as_problems

router = APIRouter(prefix="/v1", tags=["score"])

MOST_BYTES = 5 * 10**6
MOST_BYTES_OF_SOURCE = 20_000
# What a form holds besides the sample.
FORM_BYTES = MOST_BYTES_OF_SOURCE + 2000
UNNAMED = "my_logs"


class Event(BaseModel):
    """A log record as it was parsed."""

    line_number: int
    event_time: datetime
    severity: str | None
    component: str | None
    session_key: str | None
    message: str = Field(description="its first 2,000 characters")


class Preview(BaseModel):
    """What a source makes of a sample: lines = events + lines_continued + lines_quarantined."""

    source: str = Field(description="the source file, as YAML; edited, it can be sent again")
    name: str
    format: str = Field(description="the preset, or `an expression of its own`")
    windowing: dict[str, Any] = Field(description="how events become windows")
    share_parsed: float = Field(description="of the lines, those that start or continue a record")
    multi_line: str = Field(description="which lines continue a record, in words")
    lines: int = Field(description="at most the first 20,000")
    events: int
    lines_continued: int
    lines_quarantined: int
    quarantined: list[Quarantined] = Field(description="the first 20")
    first_events: list[Event] = Field(description="the first 20")
    templates: int
    most_frequent: list[FoundTemplate] = Field(description="at most 500 templates")


@dataclass(frozen=True, slots=True)
class Sample:
    """What was sent: the lines, a name for the source, and the source where it was edited."""

    body: bytes
    name: str
    source: LogSource | None


async def _sample(request: Request) -> AsyncIterator[Sample]:
    """Raises Problem 413, 415 or 422."""
    with await spooled(request, MOST_BYTES + FORM_BYTES, "a part of it is enough") as body:
        match media_type(request):
            case "text/plain":
                sample = Sample(body.read(), UNNAMED, None)
            case "multipart/form-data":
                parser = MultiPartParser(
                    request.headers,
                    blocks(body),
                    max_files=1,
                    max_fields=1,
                    max_part_size=MOST_BYTES_OF_SOURCE,
                )
                sample = await _of_form(parser)
            case other:
                raise Problem(415, f"{other or 'no type'}: send text/plain or a form with a file")
    if len(sample.body) > MOST_BYTES:
        raise Problem(413, f"the sample is longer than {MOST_BYTES:,} bytes: a part is enough")
    if not sample.body.strip():
        raise Problem(422, "no lines: send some lines of a log")
    yield sample


async def _of_form(parser: MultiPartParser) -> Sample:
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(422, f"not a form that can be read: {error.message}") from error
    file, source = form.get("file"), form.get("source")
    if not isinstance(file, UploadFile):
        raise Problem(422, "file: the form holds no file")
    if isinstance(source, UploadFile):
        raise Problem(422, "source: send it as text, not as a file")
    with as_problems():
        return Sample(
            await file.read(),
            source_name(Path(file.filename or UNNAMED)),
            await run_in_threadpool(read_source, source, "source") if source else None,
        )


Format = Annotated[
    str | None, Query(max_length=100, description="a preset that is to read it: `log4j`, `json`…")
]
Name = Annotated[
    str | None,
    Query(max_length=100, pattern="^[a-z][a-z0-9_]*$", description="what to call the source"),
]
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "examples": {
                    "python": {"value": "2026-11-20 02:14:07 INFO app: job 17 done in 3.2 s\n"}
                },
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                        "source": {
                            "type": "string",
                            "maxLength": MOST_BYTES_OF_SOURCE,
                            "description": "an edited source file (YAML), to see what it makes of "
                            "the sample",
                        },
                    },
                }
            },
        },
    }
}


@router.post(
    "/samples",
    dependencies=[Depends(limited("samples", "120/minute"))],
    responses=responses(400, 413, 415, 429),
    openapi_extra=BODY,
)
async def preview(
    _: Scorer,
    space: Space,
    sample: Annotated[Sample, Depends(_sample)],
    format: Format = None,
    name: Name = None,
) -> Preview:
    """Propose a source for a sample, or try an edited one, and show what it makes of the sample."""
    if sample.source is not None and (format or name):
        raise Problem(422, "format, name: an edited source says both itself")
    return await to_thread.run_sync(_preview, space, sample, format, name, limiter=JUDGED_AT_ONCE)


def _preview(space: Workspace, sample: Sample, format: str | None, name: str | None) -> Preview:
    with as_problems():
        log = posted.sample_of(BytesIO(sample.body), sample.source, name or sample.name, format)
        found = posted.preview(space, log)
    source = log.source
    return Preview.model_validate(
        {
            **found,
            "source": dump_source(source),
            "name": source.name,
            "format": source.format if isinstance(source.format, str) else OWN_EXPRESSION,
            "windowing": source.windowing.model_dump(mode="json"),
            "share_parsed": 1 - found["lines_quarantined"] / max(found["lines"], 1),
            "multi_line": _multi_line(source, found["lines_continued"], found["lines"]),
        }
    )


def _multi_line(source: LogSource, continued: int, lines: int) -> str:
    rule = (
        "parts tagged P go on in the next line of the same stream"
        if source.line_format.kind == "cri"
        else f"a line that starts no record continues the one before where it is blank or matches "
        f"{source.continuation}"
    )
    return f"{continued:,} of {lines:,} lines continue a record: {rule}"
