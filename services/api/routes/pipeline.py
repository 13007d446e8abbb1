"""How the pipeline is: what each source got last, and whether what runs it is well."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from include import tracking
from include.database import coverage, ledger, monitoring
from include.settings import Settings
from include.tracking import Aliases, MlflowException
from services import airflow_api
from services.airflow_api import AirflowAway
from services.api.access import Reader, Space

router = APIRouter(prefix="/v1", tags=["pipeline"])

AIRFLOW_PATIENCE_S = 1.0


class Ingest(BaseModel):
    at: datetime = Field(description="when objects last came in")
    objects: int = Field(description="all that are visible")
    events: int


class Night(BaseModel):
    interval_start: datetime
    interval_end: datetime
    state: Literal["scored", "partly", "not_scored"]
    reason: str = Field(description="what it rests on, in words")
    windows: int
    anomalies: int


class Drift(BaseModel):
    """A measure past its bound."""

    measure: str
    day: date
    value: float
    bound: float
    reason: str


class SourceState(BaseModel):
    source: str
    last_ingest: Ingest | None
    last_night: Night | None = Field(description="the newest night that was to be scored")
    champion: str | None = Field(description="version; null where novelty judges without a model")
    measured_day: date | None = Field(description="the last day that was measured")
    drift: list[Drift] = Field(description="what was past its bound on that day")
    retrain_asked_at: datetime | None


class Component(BaseModel):
    name: str
    is_healthy: bool | None = Field(description="null where nobody can say")
    reason: str | None = Field(description="why it is not healthy, or not known")


class Pipeline(BaseModel):
    sources: list[SourceState]
    components: list[Component] = Field(description="MLflow, and those of Airflow")


@router.get("/pipeline")
def pipeline(_: Reader, space: Space) -> Pipeline:
    """Last ingest, last night, champion and drift of each source, and the health of what runs."""
    champions, mlflow = _champions(space.settings)
    with space.engine.connect() as conn:
        ingests = ledger.last_ingests(conn)
        nights = {row["source"]: row for row in coverage.nights(conn, limit=1)}
        measured = monitoring.latest(conn)
    return Pipeline.model_validate(
        {
            "sources": [
                {
                    "source": name,
                    "last_ingest": ingests.get(name),
                    "last_night": nights.get(name),
                    "champion": champions[name].champion if name in champions else None,
                    **_drift([row for row in measured if row["source"] == name]),
                }
                for name in space.sources
            ],
            "components": [mlflow, *_airflow(space.settings)],
        }
    )


def _drift(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "measured_day": rows[0]["day"] if rows else None,
        "drift": [row for row in rows if row["is_past"]],
        "retrain_asked_at": rows[0]["retrain_asked_at"] if rows else None,
    }


def _champions(settings: Settings) -> tuple[dict[str, Aliases], Component]:
    try:
        found = tracking.all_aliases(tracking.connect(settings))
    except MlflowException as error:
        return {}, Component(name="mlflow", is_healthy=False, reason=str(error)[:500])
    return found, Component(name="mlflow", is_healthy=True, reason=None)


def _airflow(settings: Settings) -> list[Component]:
    if not settings.airflow_url:
        told = "LOGANALYZER_AIRFLOW_URL is not set"
        return [Component(name="airflow", is_healthy=None, reason=told)]
    try:
        found = airflow_api.health(settings.airflow_url, AIRFLOW_PATIENCE_S)
    except AirflowAway as error:
        return [Component(name="airflow", is_healthy=False, reason=str(error)[:500])]
    return [
        Component(
            name=f"airflow {name}",
            is_healthy=about["status"] == "healthy",
            reason=None if about["status"] == "healthy" else f"it is {about['status']}",
        )
        for name, about in found.items()
    ]
