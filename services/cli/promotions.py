"""promotions, rollback: what the gate said of each challenger, and the way back."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from services.cli.common import (
    Json,
    Source,
    console,
    fail,
    print_json,
    print_table,
    told_errors,
    workspace,
)


def register(app: typer.Typer) -> None:
    for command in (promotions, rollback):
        app.command()(command)


def promotions(
    source: Source = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 10,
    json: Json = False,
) -> None:
    """What the gate said of each challenger, and what became of it."""
    from include.database import promotions as table

    with told_errors(), workspace().engine.connect() as conn:
        rows = table.history(conn, source, limit)
    if json:
        print_json(rows)
        return
    columns = ["decided (UTC)", "source", "version", "family", "outcome", "by", "reason"]
    print_table(
        "Promotions, the newest first",
        columns,
        [
            [
                f"{row['decided_at']:%Y-%m-%d %H:%M}",
                *(row[name] for name in ("source", "version", "family", "outcome", "decided_by")),
                row["reason"],
            ]
            for row in rows
        ],
    )


def rollback(
    source: Annotated[str, typer.Option("--source", "-s", help="The log source.")],
) -> None:
    """Make the previous champion of a source the champion again.

    Example: loganalyzer rollback --source storage
    """
    from include.training import gate

    with told_errors():
        space = workspace()
        who = getpass.getuser()
        now = datetime.now(UTC)
        try:
            version = gate.roll_back(space, space.source(source).name, who, f"{who} {now}", "cli")
        except (LookupError, gate.Broken) as error:
            fail(str(error.args[0]))
    console.print(f"version {version} is the champion of {source} again", highlight=False)
