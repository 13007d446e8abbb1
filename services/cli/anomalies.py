"""anomalies: what was strange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.common import (
    Json,
    Source,
    console,
    print_json,
    print_table,
    printable,
    told_errors,
    workspace,
)


def register(app: typer.Typer) -> None:
    app.command()(anomalies)
    app.command()(similar)


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


def similar(
    window: Annotated[str, typer.Argument(help="The session of an anomaly, or its window.")],
    source: Annotated[str, typer.Option("--source", "-s", help="Its log source.")],
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 5,
    json: Json = False,
) -> None:
    """List the past anomalies that one is most like, and what people said of them.

    Example: loganalyzer similar 0a0b0c0d --source storage
    """
    with told_errors():
        space = workspace()
        from include.memory import similar as remembered

        found, past = remembered(space, source, window, limit)
    if json:
        print_json(past)
        return
    console.print(Text(printable(found["reason"])))
    if past:
        words = {True: "real", False: "false alarm", None: ""}
        print_table(
            "Most like it",
            ["time (UTC)", "session", "alike", "people said", "reason"],
            [
                [
                    row["window_start"].strftime("%Y-%m-%d %H:%M:%S"),
                    row["session_key"] or "",
                    f"{row['similarity']:.0%}",
                    words[row["is_anomalous"]],
                    row["reason"],
                ]
                for row in past
            ],
        )
    else:
        console.print("nothing like it came before")


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
