"""anomalies: what was strange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from services.cli.common import (
    Json,
    Source,
    console,
    print_json,
    print_table,
    told_errors,
    workspace,
)


def register(app: typer.Typer) -> None:
    app.command()(anomalies)


def anomalies(
    source: Source = None,
    first_day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="UTC day; the last scored night if not given."),
    ] = None,
    last_day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="UTC day, inclusive.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, the oddest first.")] = 50,
    json: Json = False,
) -> None:
    """List the anomalies of the last scored night, or of any days."""
    with told_errors():
        space = workspace()
        from include.database import anomalies as table

        with space.engine.connect() as conn:
            rows = table.query(
                conn,
                source,
                first_day.date() if first_day else None,
                last_day.date() if last_day else None,
                limit,
            )
    if json:
        print_json(rows)
    elif rows:
        show(rows, "Anomalies")
    else:
        console.print("no anomalies; `loganalyzer status` tells whether the night was scored")


def show(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    print_table(
        title,
        ["time (UTC)", "source", "session", "score", "severity", "reason"],
        [
            [
                row["time"].strftime("%Y-%m-%d %H:%M:%S"),
                row["source"],
                row["session"] or "",
                f"{row['score']:.2f}",
                row["severity"],
                row["reason"],
            ]
            for row in rows
        ],
    )
