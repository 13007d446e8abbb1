"""What the tasks of a run have said, in Airflow's own database."""

from __future__ import annotations

from typing import Any

from airflow.models.xcom import XComModel
from airflow.utils.session import create_session


def nights_of(run_id: str) -> list[dict[str, Any]]:
    """The nights that a run of `score_nightly` has planned, in that order: source, start and end,
    and as `scored` what came of it, None where it was not scored."""
    planned = _results(run_id, "plan_nights").get(-1, [])
    scored = _results(run_id, "score")
    return [{**night, "scored": scored.get(index)} for index, night in enumerate(planned)]


def _results(run_id: str, task_id: str) -> dict[int, Any]:
    """What a task returned, by its map index."""
    query = XComModel.get_many(
        key="return_value", run_id=run_id, dag_ids="score_nightly", task_ids=task_id
    )
    with create_session() as session:
        rows: Any = session.scalars(query)
        return {row.map_index: XComModel.deserialize_value(row) for row in rows}
