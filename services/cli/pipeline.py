"""ingest, train, score: the DAGs, started in Airflow and waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from services.cli.common import Json, Source, airflow, console, print_json, told_errors

Day = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="UTC day; yesterday if not given.")
]
Moment = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC day or time."),
]


def register(app: typer.Typer) -> None:
    for command in (ingest, train, score):
        app.command()(command)


def ingest(source: Source = None, json: Json = False) -> None:
    """Take the new objects of the bucket `logs` into the lake."""
    _run("ingest_logs", {"source": source}, json)


def train(
    source: Source = None,
    family: Annotated[
        list[str] | None, typer.Option(help="A detector family; repeat it for more.")
    ] = None,
    first: Moment = None,
    until: Moment = None,
    json: Json = False,
) -> None:
    """Train the detectors of a source on a period and promote the best.

    Example: loganalyzer train --source storage --until 2026-11-20
    """
    conf: dict[str, Any] = {
        "source": source,
        "period_start": first and f"{first.isoformat()}+00:00",
        "period_end": until and f"{until.isoformat()}+00:00",
    }
    if family:
        conf["families"] = family
    _run("train_detectors", conf, json)


def score(
    source: Source = None,
    first_day: Day = None,
    last_day: Day = None,
    json: Json = False,
) -> None:
    """Score days, from the first to the last, and record the anomalies in Postgres.

    Example: loganalyzer score --source storage --first-day 2026-11-20
    """
    days = {"first_day": first_day, "last_day": last_day}
    conf = {name: day and day.date().isoformat() for name, day in days.items()}
    _run("score_nightly", {"source": source, **conf}, json)


def _run(dag_id: str, conf: dict[str, Any], json: bool) -> None:
    with told_errors():
        run_id = run_dag(dag_id, conf)
    if json:
        print_json({"dag_id": dag_id, "run_id": run_id, "state": "success"})


def run_dag(dag_id: str, conf: dict[str, Any]) -> str:
    """Start a DAG, show how its tasks get on, and wait for its end. Raises AirflowError."""
    api = airflow()
    api.unpause(dag_id)
    run_id = api.trigger(dag_id, {name: value for name, value in conf.items() if value is not None})
    with console.status(f"{dag_id}…") as line:
        api.wait(
            dag_id,
            run_id,
            lambda now: line.update(
                f"{dag_id} {now.state}: "
                + ", ".join(f"{count} {state}" for state, count in sorted(now.tasks.items()))
            ),
        )
    console.print(f"  [green]✓[/] {dag_id} {run_id}")
    return run_id
