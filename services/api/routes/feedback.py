"""Feedback: what people say of anomalies, incidents and templates, and what that mutes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from include.database import audit, feedback
from include.database.feedback import InvalidFeedback
from services.api.access import Judge, Reader, Space
from services.api.fields import Id, Moment, Reason, Text
from services.api.paging import Cursor, Limit, Page, before_of, page_of
from services.api.problems import Problem, responses
from services.api.routes.anomalies import Source

router = APIRouter(prefix="/v1", tags=["feedback"])

Verdict = Literal["true", "false", "expected"]


class Subject(BaseModel):
    """What feedback speaks of: one of `window_id` and `template_id` with their source, or
    `incident_id`."""

    source: Text | None = None
    window_id: Text | None = Field(default=None, description="an anomaly, and all of its kind")
    incident_id: Text | None = Field(default=None, description="an incident: all of its kinds")
    template_id: Text | None = Field(
        default=None, description="every anomaly whose kind names this template"
    )

    def as_subject(self) -> feedback.Subject:
        return feedback.Subject(**self.model_dump(include=set(Subject.model_fields)))


class NewFeedback(Subject):
    """What somebody says."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "verdict": "false",
                    "reason": "a rack was moved",
                    "source": "storage",
                    "window_id": "245c9041@20260305T132025.000000Z",
                },
                {
                    "verdict": "expected",
                    "reason": "the disks are exchanged",
                    "until": "2026-03-09T00:00:00Z",
                    "incident_id": "0a0b0c0d0e0f",
                },
            ]
        }
    )

    verdict: Verdict = Field(
        description="true: a real anomaly; false: a false alarm, which mutes its kind from that "
        "night on; expected: mutes it for a time"
    )
    reason: Reason = Field(description="for those who read it later")
    until: Moment | None = Field(default=None, description="when what is expected ends")


class Given(BaseModel):
    feedback_ids: list[int] = Field(description="the new rows, one for each source and kind")


class Hidden(BaseModel):
    """What a mute would have hidden in the last thirty nights."""

    model_config = ConfigDict(from_attributes=True)

    anomalies: int
    confirmed: int = Field(description="of these, called anomalous by people")
    told: str = Field(description="the same in words")


class Feedback(BaseModel):
    """What was said and not withdrawn."""

    feedback_id: int
    source: str
    verdict: Verdict
    signature: str | None = Field(description="the kind of anomaly that it speaks of")
    template_id: str | None = Field(description="or the template")
    incident_id: str | None = Field(description="the incident that it was said of")
    window_id: str | None = Field(description="the anomaly that it was said of")
    first_night: datetime = Field(description="it holds for nights from this one on")
    until: datetime | None = Field(description="and before this; null for always")
    author: str
    reason: str
    given_at: datetime
    hidden: int | None = Field(description="anomalies that it mutes, where `counted` asks for it")


class Withdrawal(BaseModel):
    reason: Reason = Field(description="for those who read it later")


@router.get("/feedback")
def list_feedback(
    space: Space,
    _: Reader,
    source: Source = None,
    counted: Annotated[bool, Query(description="count what each mutes, which takes time")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Feedback]:
    """Feedback in force, the newest first."""
    before = before_of(cursor)
    with space.engine.connect() as conn:
        rows = feedback.in_force(conn, source, limit + 1, before, is_counted=counted)
    return Page[Feedback](**page_of(rows, limit, "feedback_id"))


@router.post("/feedback", status_code=201)
def give_feedback(space: Space, caller: Judge, given: NewFeedback) -> Given:
    """Say what an anomaly, an incident or every anomaly of a template is. `true` and `false` label
    the sessions, or the spans, too."""
    told: dict[str, Any] = given.model_dump(mode="json", exclude_none=True)
    with space.engine.begin() as conn:
        try:
            ids = feedback.give(
                conn,
                given.as_subject(),
                given.verdict,
                given.reason,
                caller.identity.name,
                given.until,
            )
        except InvalidFeedback as error:
            raise Problem(422, str(error)) from error
        audit.record(
            conn, caller.actor, "feedback.give", _named(given), after={**told, "feedback_ids": ids}
        )
    return Given(feedback_ids=ids)


@router.post("/feedback/preview")
def preview_feedback(space: Space, _: Judge, subject: Subject) -> Hidden:
    """How much a mute would have hidden; nothing is saved."""
    with space.engine.connect() as conn:
        try:
            hidden = feedback.would_hide(conn, subject.as_subject())
        except InvalidFeedback as error:
            raise Problem(422, str(error)) from error
    return Hidden.model_validate(hidden)


@router.post("/feedback/{feedback_id}/withdraw", responses=responses(409))
def withdraw_feedback(space: Space, caller: Judge, feedback_id: Id, given: Withdrawal) -> Given:
    """Take back what was said, with all that was said of the same incident in the same stroke, and
    the labels that it made."""
    with space.engine.begin() as conn:
        try:
            ids = feedback.withdraw(conn, feedback_id, given.reason, caller.identity.name)
        except InvalidFeedback as error:
            raise Problem(409, f"{error}: `GET /v1/feedback` lists what is") from error
        audit.record(
            conn,
            caller.actor,
            "feedback.withdraw",
            str(feedback_id),
            after={"reason": given.reason, "feedback_ids": ids},
        )
    return Given(feedback_ids=ids)


def _named(subject: Subject) -> str:
    if subject.incident_id is not None:
        return f"incident {subject.incident_id}"
    if subject.template_id is not None:
        return f"template {subject.template_id}"
    return f"anomaly {subject.window_id} of {subject.source}"
