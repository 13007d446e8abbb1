"""labels: what people know of sessions and intervals."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from services.cli.common import Exit, console, fail, told_errors, workspace

app = typer.Typer(name="labels", help="Tell what is known to be anomalous or normal.")


@app.callback()
def labels() -> None:
    """Labelled anomalies are left out of training and used to measure it."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file.")],
    source: Annotated[str, typer.Option("--source", "-s", help="The log source.")],
    author: Annotated[
        str | None, typer.Option(help="Who says so; your user name by default.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for those who read it later.")] = "imported",
) -> None:
    """Import labels from a CSV file with a header.

    Columns: `label` (anomalous or normal) with `session_key`, or with `starts_at` and `ends_at`.
    Importing the same file again changes nothing.
    """
    with told_errors():
        space = workspace()
        from include.database import labels as table

        if source not in space.sources:
            fail(f"no log source {source!r}; there are: {', '.join(space.sources)}", Exit.USAGE)
        rows = table.read_label_csv(file)
        with space.engine.begin() as conn:
            changed = table.import_labels(conn, source, rows, author or getpass.getuser(), reason)
    console.print(f"{len(rows)} labels read, {changed} new or changed")
