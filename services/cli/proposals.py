"""proposals: what lasts, to be accepted as normal or refused."""

from __future__ import annotations

from typing import Annotated

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

Id = Annotated[str, typer.Argument(metavar="ID", help="As `proposals` shows it.")]

app = typer.Typer(name="proposals", help="Accept as normal what lasts, or refuse to.")


@app.callback(invoke_without_command=True)
def proposals(context: typer.Context, source: Source = None, json: Json = False) -> None:
    """List what has lasted for three nights or more and may be the new normal: templates that came
    with a release, another level of the rate."""
    if context.invoked_subcommand:
        return
    with told_errors():
        space = workspace()
        from include.database import proposals as table

        with space.engine.connect() as conn:
            rows = table.proposals(conn, source)
    if json:
        print_json(rows)
    elif rows:
        print_table(
            "Accept as normal?",
            ["id", "what", "since", "until", "anomalies"],
            [
                [
                    row["incident_id"],
                    row["title"],
                    row["first_night"].date(),
                    row["last_night"].date(),
                    row["anomalies"],
                ]
                for row in rows
            ],
        )
    else:
        console.print("nothing waits for an answer")


@app.command()
def accept(incident_id: Id, reason: Reason, author: Author) -> None:
    """Take it as normal from here on.

    Example: loganalyzer proposals accept 0a0b0c0d0e0f --reason "release 4.2"
    """
    with told_errors():
        space = workspace()
        from include.database import proposals as table

        with space.engine.begin() as conn:
            kinds = table.accept(conn, incident_id, author, reason)
    console.print(f"accepted: kinds of anomaly that do not come back: {kinds}")


@app.command()
def refuse(incident_id: Id, reason: Reason, author: Author) -> None:
    """Say that it is an anomaly all the same; it is not proposed again.

    Example: loganalyzer proposals refuse 0a0b0c0d0e0f --reason "the disk is still full"
    """
    with told_errors():
        space = workspace()
        from include.database import proposals as table

        with space.engine.begin() as conn:
            table.refuse(conn, incident_id, author, reason)
    console.print("refused: it is confirmed as an anomaly")
