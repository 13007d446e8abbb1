"""ingest, train, score: the DAGs, started in Airflow and waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from services.cli.common import (
    Json,
    Source,
    airflow,
    console,
    print_json,
    told_errors,
    workspace,
)

Moment = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC day or time."),
]


# As long as the DAG may run: trials take hours, and the answer of a person a day.
TRAIN_HOURS = 36


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
    trials: Annotated[
        int | None, typer.Option(min=1, help="Settings to try of each family.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="auto, approve (a person decides) or never (only register).")
    ] = None,
    alerts_per_day: Annotated[
        float | None, typer.Option(min=0.001, help="A budget that gives the threshold.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why; kept with the run.")] = None,
    json: Json = False,
) -> None:
    """Tune and train the detectors of a source on a period; the gate judges the best of them.

    Example: loganalyzer train --source storage --until 2026-11-20 --trials 30
    """
    conf: dict[str, Any] = {
        "source": source,
        "period_start": first and f"{first.isoformat()}+00:00",
        "period_end": until and f"{until.isoformat()}+00:00",
        "families": family,
        "trials": trials,
        "policy": policy,
        "alerts_per_day": alerts_per_day,
        "note": note,
    }
    with told_errors():
        run_id = run_dag("train_detectors", conf, hours=TRAIN_HOURS)
        verdicts = verdicts_of(run_id)
    if json:
        print_json({"dag_id": "train_detectors", "run_id": run_id, "verdicts": verdicts})
        return
    for verdict in verdicts:
        console.print(f"  {verdict['outcome']}: {verdict['reason']}", highlight=False, markup=False)
    if not verdicts:
        console.print("  nothing was trained: the log of `prepare` says what is needed")


def verdicts_of(run_id: str) -> list[dict[str, Any]]:
    """What the gate said in a run, for each source."""
    from include.database import promotions

    with workspace().engine.connect() as conn:
        return promotions.of_run(conn, run_id)


def score(
    source: Source = None,
    first_day: Annotated[
        datetime | None,
        typer.Option(
            "--from", "--first-day", formats=["%Y-%m-%d"], help="UTC day; yesterday if not given."
        ),
    ] = None,
    last_day: Annotated[
        datetime | None,
        typer.Option("--to", "--last-day", formats=["%Y-%m-%d"], help="UTC day, inclusive."),
    ] = None,
    model_version: Annotated[
        str | None,
        typer.Option(help="Let this version of the source's model judge, to compare."),
    ] = None,
    json: Json = False,
) -> None:
    """Score days, from the first to the last, and record the anomalies in Postgres.

    Example: loganalyzer score --source storage --from 2026-11-20 --to 2026-11-22
    """
    days = {"first_day": first_day, "last_day": last_day}
    conf = {name: day and day.date().isoformat() for name, day in days.items()}
    _run("score_nightly", {"source": source, "model_version": model_version, **conf}, json)


def _run(dag_id: str, conf: dict[str, Any], json: bool) -> None:
    with told_errors():
        run_id = run_dag(dag_id, conf)
    if json:
        print_json({"dag_id": dag_id, "run_id": run_id, "state": "success"})


def run_dag(dag_id: str, conf: dict[str, Any], hours: float = 1) -> str:
    """Start a DAG, show how its tasks get on, and wait for its end. Raises AirflowError, also where
    that does not come within so many hours."""
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
            seconds=hours * 3600,
        )
    console.print(f"  [green]✓[/] {dag_id} {run_id}")
    return run_id
