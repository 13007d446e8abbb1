"""Whether the API lives, can answer, and how it has done so far."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from include import database
from services.api.access import Reader, Space, anybody
from services.api.problems import Problem, responses

router = APIRouter(tags=["health"])


class Answering(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/livez", dependencies=[Depends(anybody)])
def live() -> Answering:
    """Whether the process answers at all; start it anew where it does not."""
    return Answering()


@router.get("/readyz", dependencies=[Depends(anybody)], responses=responses(503))
def ready(space: Space) -> Answering:
    """Whether it can do its work: send it no requests where it cannot."""
    if not database.is_reachable(space.engine):
        raise Problem(503, "Postgres does not answer", {"Retry-After": "5"})
    return Answering()


@router.get("/metrics", response_class=Response)
def metrics(_: Reader) -> Response:
    """Requests and their times since the process started, for Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
