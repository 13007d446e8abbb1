"""incidents: what is alike among the anomalies, and whether it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from services.cli.common import (
    Author,
    Json,
    Reason,
    Source,
    console,
    print_json,
    print_table,
    told_errors,
    workspace,
)


class State(StrEnum):
    OPEN = "open"
    ONGOING = "ongoing"
    RESOLVED = "resolved"
    EXPIRED = "expired"


app = typer.Typer(name="incidents", help="List incidents, and say when one is over.")


@app.callback(invoke_without_command=True)
def incidents(
    context: typer.Context,
    source: Source = None,
    state: Annotated[
        State | None, typer.Option(help="One state; those that may go on if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """List the incidents, the worst first: anomalies that are alike and near in time."""
    if context.invoked_subcommand:
        return
    with told_errors():
        space = workspace()
        from include.database import incidents as table

        with space.engine.connect() as conn:
            rows = table.query(conn, source, state)
    if json:
        print_json(rows)
    elif rows:
        _show(rows)
    else:
        console.print("no such incidents; `loganalyzer coverage` tells which nights were scored")


@app.command()
def resolve(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="As `incidents` shows it.")],
    reason: Reason,
    author: Author,
) -> None:
    """Say that an incident is over: what is alike and comes later is another one.

    Example: loganalyzer incidents resolve 0a0b0c0d0e0f --reason "disk exchanged"
    """
    with told_errors():
        space = workspace()
        from include.database import incidents as table

        with space.engine.begin() as conn:
            table.resolve(conn, incident_id, author, reason)
    console.print("resolved")


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        "Incidents",
        ["id", "severity", "state", "what", "anomalies", "last (UTC)", "reason of the oddest"],
        [
            [
                row["incident_id"],
                row["severity"],
                row["state"],
                row["title"],
                row["anomalies"],
                row["ended_at"].strftime("%Y-%m-%d %H:%M"),
                row["reason"],
            ]
            for row in rows
        ],
    )
