"""coverage: what the judgement of each night rests on."""

from __future__ import annotations

from collections.abc import Mapping
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
    app.command()(coverage)


def coverage(
    source: Source = None,
    limit: Annotated[int, typer.Option("--nights", min=1, help="Of each source, the newest.")] = 7,
    json: Json = False,
) -> None:
    """Show what arrived of each night, what of it was judged, and what is missing.

    Example: loganalyzer coverage --source storage --nights 30
    """
    with told_errors():
        space = workspace()
        from include.database import coverage as table

        with space.engine.connect() as conn:
            rows = table.nights(conn, source, limit)
    if json:
        print_json(rows)
    elif rows:
        columns = ["source", "night (UTC)", "state", "objects", "lines", "checks", "what it means"]
        print_table("Coverage", columns, [_shown(row) for row in rows])
    else:
        console.print("no night was scored yet; `loganalyzer score` does it")


def _shown(row: Mapping[str, Any]) -> list[str]:
    expected = row["objects_expected"]
    return [
        row["source"],
        f"{row['interval_start']:%Y-%m-%d}",
        row["state"],
        f"{row['objects_arrived']:,}" + ("" if expected is None else f" of {expected:,}"),
        f"{row['lines_read']:,}",
        row["verdict"],
        row["reason"],
    ]
