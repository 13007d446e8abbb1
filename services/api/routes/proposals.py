"""Proposals: what lasts, to be accepted as the new normal or refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from include.database import audit, proposals
from include.database.feedback import InvalidFeedback
from include.database.incidents import InvalidResolution
from include.database.proposals import NoProposal
from services.api.access import Judge, Reader, Space
from services.api.fields import Reason, Text
from services.api.problems import Problem, responses
from services.api.routes.anomalies import Severity, Source

router = APIRouter(prefix="/v1", tags=["proposals"])

IncidentId = Annotated[Text, Path(description="of the incident that lasts")]


class Proposal(BaseModel):
    """An incident of three nights or more that may be the new normal."""

    incident_id: str
    title: str
    sources: list[str]
    first_night: datetime
    last_night: datetime
    anomalies: int
    severity: Severity
    signature: str = Field(description="what is new, or how the rate differs")


class Proposals(BaseModel):
    items: list[Proposal] = Field(description="those with the most anomalies first")


class Answer(BaseModel):
    reason: Reason = Field(description="for those who read it later")


class Accepted(BaseModel):
    kinds: int = Field(description="kinds of anomaly that do not come back")


@router.get("/proposals")
def list_proposals(space: Space, _: Reader, source: Source = None) -> Proposals:
    """What waits for an answer."""
    with space.engine.connect() as conn:
        rows = proposals.proposals(conn, source)
    return Proposals(items=[Proposal.model_validate(row) for row in rows])


@router.post("/proposals/{incident_id}/accept", responses=responses(404, 409))
def accept_proposal(
    space: Space, caller: Judge, incident_id: IncidentId, given: Answer
) -> Accepted:
    """Take it as normal from here on, and resolve its incident."""
    with space.engine.begin() as conn:
        try:
            kinds = proposals.accept(conn, incident_id, caller.identity.name, given.reason)
        except NoProposal as error:
            raise Problem(404, _told(incident_id)) from error
        except (InvalidFeedback, InvalidResolution) as error:
            raise Problem(409, str(error)) from error
        told = {"reason": given.reason, "kinds": kinds}
        audit.record(conn, caller.actor, "proposal.accept", incident_id, after=told)
    return Accepted(kinds=kinds)


@router.post("/proposals/{incident_id}/refuse", status_code=204, responses=responses(404))
def refuse_proposal(space: Space, caller: Judge, incident_id: IncidentId, given: Answer) -> None:
    """Say that it is an anomaly all the same: it is confirmed, and not proposed again."""
    with space.engine.begin() as conn:
        try:
            proposals.refuse(conn, incident_id, caller.identity.name, given.reason)
        except NoProposal as error:
            raise Problem(404, _told(incident_id)) from error
        told = {"reason": given.reason}
        audit.record(conn, caller.actor, "proposal.refuse", incident_id, after=told)


def _told(incident_id: str) -> str:
    return f"no proposal {incident_id!r}: `GET /v1/proposals` lists what waits for an answer"
