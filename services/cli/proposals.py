"""proposals: what lasts, to be accepted as normal or refused."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from services.cli.common import (
    Exit,
    Json,
    Source,
    console,
    fail,
    print_json,
    print_table,
    told_errors,
    workspace,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `proposals` shows it.")]
Reason = Annotated[str, typer.Option(help="Why, for those who read it later.")]
Author = Annotated[str | None, typer.Option(help="Who says so; your user name by default.")]

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
        columns = ["id", "what", "since", "until", "anomalies"]
        nights = [
            (f"{row['first_night']:%Y-%m-%d}", f"{row['last_night']:%Y-%m-%d}") for row in rows
        ]
        print_table(
            "Accept as normal?",
            columns,
            [
                [row["incident_id"], row["title"], *night, row["anomalies"]]
                for row, night in zip(rows, nights, strict=True)
            ],
        )
    else:
        console.print("nothing waits for an answer")


@app.command()
def accept(incident_id: Id, reason: Reason, author: Author = None) -> None:
    """Take it as normal from here on.

    Example: loganalyzer proposals accept 0a0b0c0d0e0f --reason "release 4.2"
    """
    with told_errors():
        space = workspace()
        from include.database import proposals as table

        try:
            with space.engine.begin() as conn:
                kinds = table.accept(conn, incident_id, author or getpass.getuser(), reason)
        except table.NoProposal as error:
            fail(str(error), Exit.USAGE)
    console.print(f"accepted: kinds of anomaly that do not come back: {kinds}")


@app.command()
def refuse(incident_id: Id, reason: Reason, author: Author = None) -> None:
    """Say that it is an anomaly all the same; it is not proposed again.

    Example: loganalyzer proposals refuse 0a0b0c0d0e0f --reason "the disk is still full"
    """
    with told_errors():
        space = workspace()
        from include.database import proposals as table

        try:
            with space.engine.begin() as conn:
                table.refuse(conn, incident_id, author or getpass.getuser(), reason)
        except table.NoProposal as error:
            fail(str(error), Exit.USAGE)
    console.print("refused: it is confirmed as an anomaly")
