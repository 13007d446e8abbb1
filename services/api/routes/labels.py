"""Labels: what people know of sessions and intervals, for training and for measuring."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from include.database import audit, labels
from include.database.labels import InvalidLabels, LabelRow, checked
from services.api.access import Judge, Reader, Space
from services.api.fields import Id, Moment, Reason, Text
from services.api.paging import Cursor, Limit, Page, before_of, page_of
from services.api.problems import Problem, responses
from services.api.routes.anomalies import Source

router = APIRouter(prefix="/v1", tags=["labels"])


class NewLabel(BaseModel):
    """Of a session, of an interval, or of the part of a session within an interval."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "storage",
                    "session_key": "245c9041",
                    "is_anomalous": True,
                    "reason": "the disk was full",
                }
            ]
        }
    )

    source: Text
    session_key: Text | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = Field(default=None, description="exclusive")
    is_anomalous: bool
    reason: Reason = Field(description="for those who read it later")
    golden: bool = Field(
        default=False, description="a confirmed incident, which every later champion must find"
    )


class Label(NewLabel):
    label_id: int
    author: str
    reason: str
    imported_at: datetime = Field(description="when it was said")


@router.get("/labels")
def list_labels(
    space: Space, _: Reader, source: Source = None, cursor: Cursor = None, limit: Limit = 50
) -> Page[Label]:
    """Labels, the newest first."""
    with space.engine.connect() as conn:
        rows = labels.page(conn, source, limit + 1, before_of(cursor))
    return Page[Label](
        **page_of(rows, limit, "label_id", as_item=lambda row: Label.model_construct(**row))
    )


@router.post("/labels", status_code=201)
def add_label(space: Space, caller: Judge, given: NewLabel) -> Label:
    """Label a session or an interval, or change the verdict of its label. One that says the same
    already keeps its author, reason and time."""
    if given.source not in space.sources:
        known = ", ".join(space.sources) or "none"
        raise Problem(422, f"no log source {given.source!r}; there are: {known}")
    row = LabelRow(given.session_key or None, given.starts_at, given.ends_at, given.is_anomalous)
    with space.engine.begin() as conn:
        try:
            checked(row, "the label")
            before = labels.same_as(conn, given.source, row)
            name = caller.identity.name
            labels.import_labels(conn, given.source, [row], name, given.reason, golden=given.golden)
        except InvalidLabels as error:
            raise Problem(422, str(error)) from error
        after = labels.same_as(conn, given.source, row)
        if after is None:
            raise Problem(409, "somebody removed this label just now: try again")
        label, old = Label.model_validate(after), before and Label.model_validate(before)
        if label != old:
            audit.record(
                conn,
                caller.actor,
                "label.add",
                str(label.label_id),
                old and old.model_dump(mode="json"),
                label.model_dump(mode="json"),
            )
    return label


@router.delete("/labels/{label_id}", status_code=204, responses=responses(404, 409))
def remove_label(space: Space, caller: Judge, label_id: Id) -> None:
    """Take a label back. A golden incident stays: every champion was measured by it."""
    with space.engine.begin() as conn:
        try:
            gone = labels.remove(conn, label_id)
        except InvalidLabels as error:
            raise Problem(409, str(error)) from error
        if gone is None:
            raise Problem(404, f"no label {label_id}: `GET /v1/labels` lists them")
        told = Label.model_validate(gone).model_dump(mode="json")
        audit.record(conn, caller.actor, "label.remove", str(label_id), told)
