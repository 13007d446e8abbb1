"""disagreements: what a challenger would have judged otherwise than the champion."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

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

ISO = "%Y-%m-%dT%H:%M:%S"


def register(app: typer.Typer) -> None:
    app.command()(disagreements)


def disagreements(
    source: Source = None,
    limit: Annotated[
        int, typer.Option(min=1, help="At most this many, the most telling first.")
    ] = 20,
    json: Json = False,
) -> None:
    """List the windows that a source's champion flags and its challenger does not, or the other
    way round.

    What has a label is left out. Say which of the two is right, beginning at the top:

    loganalyzer labels add --source storage --session 0a0b0c0d --verdict normal --reason "a test"
    """
    with told_errors():
        space = workspace()
        from include.database import shadows

        with space.engine.connect() as conn:
            rows = shadows.disagreements(conn, source, limit)
    if json:
        print_json(rows)
    elif rows:
        _show(rows)
    else:
        console.print("no disagreements: there is no challenger, or labels speak of all of them")


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        "Disagreements",
        ["time (UTC)", "source", "session", "flagged by", "champion", "challenger", "reason"],
        [
            [
                row["time"].strftime("%Y-%m-%d %H:%M:%S"),
                row["source"],
                row["session"] or f"until {_end(row):%H:%M:%S}",
                row["flagged_by"],
                _verdict(row, "champion"),
                _verdict(row, "challenger"),
                row["reason"],
            ]
            for row in rows
        ],
    )
    answer = f"--source {rows[0]['source']} {_window_options(rows[0])} --verdict normal --reason …"
    console.print(
        f"To answer the first, with `normal` or `anomalous`:\nloganalyzer labels add {answer}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _verdict(row: Mapping[str, Any], who: str) -> str:
    score, threshold = row[f"{who}_score"], row[f"{who}_threshold"]
    return f"{score:.2f} {'>' if score > threshold else '≤'} {threshold:.2f}"


def _window_options(row: Mapping[str, Any]) -> str:
    """The options of `labels add` that speak of a window."""
    if row["session"] is not None:
        return f"--session {shlex.quote(printable(row['session']))}"
    return f"--from {row['time']:{ISO}} --until {_end(row):{ISO}}"


def _end(row: Mapping[str, Any]) -> datetime:
    """The first whole second after the last event of a window."""
    last: datetime = row["window_end"]
    return last.replace(microsecond=0) + timedelta(seconds=1)
