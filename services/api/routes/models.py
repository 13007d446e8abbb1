"""The models that judge: champions and those that would be, and what the gate said of each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from include import tracking
from include.database import promotions
from include.tracking import MlflowClient, VersionDetails
from include.tracking.runs import curves_of
from include.workspace import Workspace
from services.api.access import Reader, Space
from services.api.fields import Text
from services.api.paging import Cursor, Limit, Page, before_of, page_of
from services.api.problems import Problem, responses

router = APIRouter(prefix="/v1/models", tags=["models"])

SourceName = Annotated[Text, Path(description="the name of a log source")]
Version = Annotated[str, Path(pattern="^[0-9]{1,9}$", description="of the source's model")]


class ModelVersion(BaseModel):
    """A version of a source's model."""

    version: str
    family: str = Field(description="its detector family")
    registered_at: datetime
    learnt_from: datetime = Field(description="start of the period that it was trained on")
    learnt_until: datetime = Field(description="and its end: what follows was held out")
    figures: dict[str, float] = Field(
        description="on the held-out part; `found.…` is the share found of a kind of planted fault"
    )
    measure: str = Field(description="what `held_out_figure` and `objective` measure")
    threshold: float = Field(description="scores above it are flagged")
    mlflow_url: str = Field(description="its run")


class SourceModels(BaseModel):
    source: str
    champion: ModelVersion | None = Field(description="judges the nights")
    challenger: ModelVersion | None = Field(description="the newest that is not the champion")
    previous: ModelVersion | None = Field(description="the champion before")


class Models(BaseModel):
    items: list[SourceModels] = Field(description="one for each log source")


class Check(BaseModel):
    """A line of the gate's table."""

    name: str
    wanted: str
    challenger: str
    champion: str
    passed: bool


class Promotion(BaseModel):
    """What the gate said of a challenger, and what became of it."""

    promotion_id: int
    dag_run_id: str = Field(description="the run of `train_detectors`, or who rolled back when")
    version: str
    family: str
    champion_before: str | None
    figure: str | None = Field(description="what was compared")
    challenger_figure: float | None
    champion_figure: float | None
    rules_figure: float | None = Field(description="of the best plain rule")
    difference_low: float | None = Field(description="the difference lies above this")
    difference_high: float | None = Field(description="and below this")
    checks: list[Check]
    passed: bool = Field(description="whether it passed the gate")
    reason: str
    policy: str = Field(description="auto, approve, never or roll_back")
    outcome: str = Field(description="promoted, refused, rejected, unanswered, registered, kept, "
                         "waiting, moved_back or rolled_back")  # fmt: skip
    decided_by: str
    decided_at: datetime
    note: str


class Curves(BaseModel):
    """Of the held-out part: windows by score, and precision against recall."""

    threshold: float
    edges: list[float] = Field(description="of the bins of scores: one more than there are bins")
    normal: list[int] = Field(description="normal windows in each bin")
    anomalous: list[int]
    recall: list[float] = Field(description="empty where no window is anomalous")
    precision: list[float]
    score: list[float] = Field(description="above or at which a window counts as flagged there")
    trials: list[float | None] = Field(description="the figure of each trial of its study")


class Evaluation(ModelVersion):
    source: str
    parameters: dict[str, str] = Field(description="what it has learnt and how it is set")
    curves: Curves | None = Field(description="null for models that were trained without them")


@router.get("", responses=responses(503))
def models(_: Reader, space: Space) -> Models:
    """Champion, challenger and previous champion of each source."""
    client = tracking.connect(space.settings)
    known = tracking.all_aliases(client)
    return Models(items=[_models_of(client, name, known.get(name)) for name in space.sources])


@router.get("/{source}/promotions", responses=responses(404))
def promotions_of(
    _: Reader, space: Space, source: SourceName, cursor: Cursor = None, limit: Limit = 50
) -> Page[Promotion]:
    """What the gate said of each challenger of a source, the newest first."""
    _known(space, source)
    with space.engine.connect() as conn:
        rows = promotions.page(conn, source, before_of(cursor), limit + 1)
    return Page[Promotion](**page_of(rows, limit, "promotion_id"))


@router.get("/{source}/{version}/evaluation", responses=responses(404, 503))
def evaluation(_: Reader, space: Space, source: SourceName, version: Version) -> Evaluation:
    """How a version did on the part of its logs that it did not learn from."""
    _known(space, source)
    client = tracking.connect(space.settings)
    try:
        found = tracking.details_of(client, source, version)
    except tracking.NoSuchVersion as error:
        raise Problem(404, f"{error}: `GET /v1/models` lists the present ones") from error
    return Evaluation.model_validate(
        {
            **_told(found),
            "source": source,
            "parameters": found.parameters,
            "curves": curves_of(client, found.run_id),
        }
    )


def _models_of(client: MlflowClient, source: str, known: tracking.Aliases | None) -> SourceModels:
    def model(version: str | None) -> dict[str, Any] | None:
        return None if version is None else _told(tracking.details_of(client, source, version))

    if known is None:
        known = tracking.Aliases(None, None, None)
    return SourceModels.model_validate(
        {
            "source": source,
            "champion": model(known.champion),
            "challenger": model(known.challenger),
            "previous": model(known.previous),
        }
    )


def _told(found: VersionDetails) -> dict[str, Any]:
    parameters = found.parameters
    return {
        "version": found.version,
        "family": parameters["family"],
        "registered_at": found.registered_at,
        "learnt_from": parameters["period_start"],
        "learnt_until": parameters["held_out_from"],
        "figures": found.figures,
        "measure": parameters["measure"],
        "threshold": found.figures["threshold"],
        "mlflow_url": found.url,
    }


def _known(space: Workspace, source: str) -> None:
    if source not in space.sources:
        raise Problem(404, f"no log source {source!r}: `GET /v1/sources` lists them")
