"""From a form, a schedule or a drift that was found to what is to be trained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from include.intervals import moment_of, training_period
from include.training.jobs import Request
from include.workspace import Workspace


def requests_of(
    workspace: Workspace, params: Mapping[str, Any], context: Mapping[str, Any]
) -> list[Request]:
    """One request for each source: the one of the form, or those that have drifted, or all.

    Raises KeyError for a source that is not there, ValueError where the period is empty.
    """
    moment = moment_of(context)
    start, end = training_period(params, moment)
    drifted = _drifted(context)
    sources = workspace.chosen(params["source"])
    if drifted and params["source"] is None:
        sources = [source for source in sources if source.name in drifted]
    run = context["dag_run"]
    deadline = run.start_date + timedelta(minutes=params["time_limit_minutes"])
    return [
        Request(
            source=source.name,
            families=params["families"],
            start=start.isoformat(),
            end=end.isoformat(),
            known_until=moment.isoformat(),
            trials=params["trials"],
            deadline=deadline.isoformat(),
            seed=params["seed"],
            alerts_per_day=params["alerts_per_day"],
            policy=params["policy"],
            note=params["note"] or drifted.get(source.name, ""),
            dag_run_id=run.run_id,
            dag_run_url=context["ti"].log_url.partition("/tasks/")[0],
        )
        for source in sources
    ]


def _drifted(context: Mapping[str, Any]) -> dict[str, str]:
    """The sources whose drift started the run, and what was found."""
    events = context.get("triggering_asset_events") or {}
    return {event.extra["source"]: event.extra["reason"] for of in events.values() for event in of}
