"""Runs of the DAGs: started, followed and answered through Airflow, which does them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from include.database import audit
from include.workspace import Workspace
from services.airflow_api import AirflowApi
from services.api.access import Caller, Reader, Runner, Space
from services.api.fields import Text
from services.api.problems import Problem, responses

router = APIRouter(prefix="/v1", tags=["runs"])

TRAIN, SCORE = "train_detectors", "score_nightly"
DagId = Literal["ingest_logs", "score_nightly", "train_detectors", "monitor_sources", "keep_house"]
FormId = Literal["train_detectors", "score_nightly"]
# As Airflow lets them be; dots alone, or a slash, would lead to another of its addresses.
RunId = Annotated[str, Path(max_length=250, pattern=r"^[A-Za-z0-9_~:+-][A-Za-z0-9_.~:+-]*$")]
MOST_BYTES_OF_CONF = 20_000
# Airflow takes an answer that comes before its scheduler's next round for a lost task, and asks
# again.
SETTLES_AFTER = timedelta(seconds=5)
UNSET = (
    "Airflow is not known here: set LOGANALYZER_AIRFLOW_URL, LOGANALYZER_AIRFLOW_USER and "
    "LOGANALYZER_AIRFLOW_PASSWORD for the API"
)
REFUSALS = (404, 502, 503)


class Run(BaseModel):
    dag_id: str
    run_id: str
    state: str = Field(description="queued, running, success or failed")
    kind: str = Field(description="manual, scheduled, asset_triggered, backfill…")
    run_after: datetime
    started_at: datetime | None
    ended_at: datetime | None
    conf: dict[str, Any] = Field(description="the parameters that were given")
    note: str | None = Field(description="who asked for it, where it was not the schedule")
    url: str = Field(description="its page in Airflow")


class Runs(BaseModel):
    items: list[Run] = Field(description="the newest first")


class Question(BaseModel):
    """What a run waits for a person to answer."""

    map_index: int = Field(description="names the question in an answer")
    subject: str
    body: str | None = Field(description="Markdown: the verdict of the gate and its table")
    options: list[str]
    asked_at: datetime


class FollowedRun(Run):
    tasks: dict[str, int] = Field(description="task instances by their state")
    failed_tasks: list[str]
    waits_for: list[Question]


class Form(BaseModel):
    """The parameters of a DAG as Airflow has them."""

    dag_id: str
    params: dict[str, Any] = Field(
        description="by name: `value` (the default), `description` and `schema` (JSON Schema)"
    )


class Started(BaseModel):
    dag_id: str
    run_id: str
    url: str = Field(description="its page in Airflow")


def _sendable(conf: dict[str, Any]) -> dict[str, Any]:
    """What Airflow and the record of actions can keep."""
    written = json.dumps(conf, allow_nan=False, ensure_ascii=False)
    if len(written.encode()) > MOST_BYTES_OF_CONF:
        raise ValueError(f"is longer than {MOST_BYTES_OF_CONF:,} bytes")
    if "\\u0000" in written:
        raise ValueError("holds a NUL character")
    return conf


class Retrain(BaseModel):
    """What the form of `train_detectors` holds; what is left out is as the form has it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"conf": {"source": "storage", "policy": "approve"}}]},
    )

    conf: Annotated[dict[str, Any], AfterValidator(_sendable)] = Field(
        description="by name, as `GET /v1/runs/train_detectors/form` gives them"
    )


class Rescore(BaseModel):
    """Days of a source to score again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"source": "storage", "first_day": "2026-11-20"}]},
    )

    source: Text
    first_day: date = Field(description="UTC")
    last_day: date | None = Field(default=None, description="inclusive; the first where not given")
    model_version: str | None = Field(
        default=None,
        pattern="^[0-9]{1,9}$",
        description="another than the champion, to compare: the nights stay as they were judged",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Rescore:
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        return self


class Answer(BaseModel):
    """An answer to a question of a run."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"map_index": 0, "option": "Approve"}]}
    )

    map_index: int = Field(ge=-1, le=2**31 - 1, description="which question")
    option: Text = Field(description="one of its options")


def _airflow(request: Request, space: Space) -> AirflowApi:
    """Airflow under the service user of the settings, logged in once. Raises Problem 503 where the
    settings name none."""
    settings, state = space.settings, request.app.state
    if not settings.airflow_url:
        raise Problem(503, UNSET)
    if not hasattr(state, "airflow"):
        password = settings.airflow_password.get_secret_value()
        state.airflow = AirflowApi(settings.airflow_url, settings.airflow_user, password)
    known: AirflowApi = state.airflow
    return known


Airflow = Annotated[AirflowApi, Depends(_airflow)]


@router.get("/runs", responses=responses(*REFUSALS))
def runs(
    _: Reader,
    airflow: Airflow,
    dag_id: DagId | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Runs:
    """The newest runs, of one DAG or of all."""
    return Runs(items=[Run(**_told(airflow, run)) for run in airflow.runs(dag_id, limit)])


@router.get("/runs/{dag_id}/form", responses=responses(*REFUSALS))
def form(_: Reader, airflow: Airflow, dag_id: FormId) -> Form:
    """The form of a DAG: names, defaults, texts and what fits."""
    return Form(dag_id=dag_id, params=airflow.params_of(dag_id))


@router.post("/runs/retrain", status_code=202, responses=responses(*REFUSALS, 409))
def retrain(caller: Runner, space: Space, airflow: Airflow, asked: Retrain) -> Started:
    """Tune and train detectors; the gate judges the best of them."""
    unknown = set(asked.conf) - set(airflow.params_of(TRAIN))
    if unknown:
        raise Problem(422, f"conf: the form has no {', '.join(sorted(unknown))}")
    return _started(caller, space, airflow, TRAIN, asked.conf)


@router.post("/runs/rescore", status_code=202, responses=responses(*REFUSALS, 409))
def rescore(caller: Runner, space: Space, airflow: Airflow, asked: Rescore) -> Started:
    """Score days again, by the champion or, to compare, by another version."""
    return _started(caller, space, airflow, SCORE, asked.model_dump(mode="json", exclude_none=True))


@router.get("/runs/{dag_id}/{run_id}", responses=responses(*REFUSALS))
def run(_: Reader, airflow: Airflow, dag_id: DagId, run_id: RunId) -> FollowedRun:
    """How a run gets on, and what it waits for."""
    found = airflow.run(dag_id, run_id)
    tasks = airflow.task_instances(dag_id, run_id)
    return FollowedRun(
        **_told(airflow, found),
        tasks=Counter(task["state"] or "waiting" for task in tasks),
        failed_tasks=sorted({task["task_id"] for task in tasks if task["state"] == "failed"}),
        waits_for=[_question(each) for each in airflow.questions(dag_id, run_id)],
    )


@router.post("/runs/{dag_id}/{run_id}/answer", status_code=204, responses=responses(*REFUSALS, 409))
def answer(
    caller: Runner, space: Space, airflow: Airflow, dag_id: DagId, run_id: RunId, said: Answer
) -> None:
    """Answer what a run waits for: whether a challenger becomes the champion."""
    open_ = airflow.questions(dag_id, run_id)
    asked = next((q for q in open_ if q["task_instance"]["map_index"] == said.map_index), None)
    if asked is None:
        raise Problem(404, f"the run waits for no answer to a question {said.map_index}")
    if said.option not in asked["options"]:
        raise Problem(422, f"option: choose one of {', '.join(asked['options'])}")
    if datetime.now(UTC) - datetime.fromisoformat(asked["created_at"]) < SETTLES_AFTER:
        wait = str(int(SETTLES_AFTER.total_seconds()))
        told = f"this was asked a moment ago: answer again in {wait} s"
        raise Problem(409, told, {"Retry-After": wait})
    after = {"option": said.option, "map_index": said.map_index, "subject": asked["subject"]}
    with space.engine.begin() as conn:
        audit.record(conn, caller.actor, "run.answer", f"{dag_id} {run_id}", None, after)
        task_id = asked["task_instance"]["task_id"]
        airflow.answer(dag_id, run_id, task_id, said.option, said.map_index)


def _started(
    caller: Caller, space: Workspace, airflow: AirflowApi, dag_id: str, conf: dict[str, Any]
) -> Started:
    source = conf.get("source")
    if isinstance(source, str) and source not in space.sources:
        raise Problem(422, f"source: no log source {source!r}: `GET /v1/sources` lists them")
    airflow.unpause(dag_id, patience_s=0)
    who = f"asked for by {caller.identity.name}"
    run_id = airflow.trigger(dag_id, conf, note=who)
    with space.engine.begin() as conn:
        audit.record(conn, caller.actor, "run.trigger", f"{dag_id} {run_id}", None, conf)
    return Started(dag_id=dag_id, run_id=run_id, url=airflow.page_of(dag_id, run_id))


def _told(airflow: AirflowApi, run: Mapping[str, Any]) -> dict[str, Any]:
    """A run in our names."""
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "state": run["state"],
        "kind": run["run_type"],
        "run_after": run["run_after"],
        "started_at": run["start_date"],
        "ended_at": run["end_date"],
        "conf": run["conf"] or {},
        "note": run["note"],
        "url": airflow.page_of(dag_id, run_id),
    }


def _question(asked: Mapping[str, Any]) -> Question:
    return Question(
        map_index=asked["task_instance"]["map_index"],
        subject=asked["subject"],
        body=asked["body"],
        options=asked["options"],
        asked_at=asked["created_at"],
    )
