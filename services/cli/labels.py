"""labels: what people know of sessions and intervals."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.common import Author, Exit, Reason, console, fail, told_errors, workspace

if TYPE_CHECKING:
    from include.database.labels import LabelRow

Source = Annotated[str, typer.Option("--source", "-s", help="The log source.")]
Golden = Annotated[
    bool,
    typer.Option("--golden", help="Confirmed incidents, which every later champion must find."),
]


class Verdict(StrEnum):
    ANOMALOUS = "anomalous"
    NORMAL = "normal"


app = typer.Typer(name="labels", help="Tell what is known to be anomalous or normal.")


@app.callback()
def labels() -> None:
    """Labelled anomalies are left out of training and used to measure it."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file.")],
    source: Source,
    author: Author,
    reason: Annotated[str, typer.Option(help="Why, for those who read it later.")] = "imported",
    golden: Golden = False,
) -> None:
    """Import labels from a CSV file with a header.

    Columns: `label` (anomalous or normal) with `session_key`, or with `starts_at` and `ends_at`.
    Importing the same file again changes nothing; golden incidents stay golden.
    """
    with told_errors():
        from include.database.labels import read_label_csv

        rows = read_label_csv(file)
        changed = _store(source, rows, author, reason, golden)
    console.print(f"{len(rows)} labels read, {changed} new or changed")


@app.command()
def add(
    source: Source,
    verdict: Annotated[Verdict, typer.Option(help="What it is.")],
    reason: Reason,
    author: Author,
    session: Annotated[str | None, typer.Option(help="The session that it speaks of.")] = None,
    start: Annotated[
        datetime | None, typer.Option("--from", help="UTC start of the interval it speaks of.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--until", help="UTC end, exclusive.")] = None,
    golden: Golden = False,
) -> None:
    """Add one label: a session, an interval, or the part of a session within an interval.

    Example: loganalyzer labels add --source storage --session 0a0b0c0d --verdict anomalous
    --reason "disk full"
    """
    with told_errors():
        from include.database.labels import LabelRow, checked

        starts_at, ends_at = (time and time.replace(tzinfo=UTC) for time in (start, end))
        label = LabelRow(session or None, starts_at, ends_at, verdict is Verdict.ANOMALOUS)
        changed = _store(source, [checked(label, "labels add")], author, reason, golden)
    console.print("added" if changed else "this label is there already")


def _store(source: str, rows: list[LabelRow], author: str, reason: str, golden: bool) -> int:
    """How many labels are new or changed."""
    space = workspace()
    from include.database import labels as table

    if source not in space.sources:
        fail(f"no log source {source!r}; there are: {', '.join(space.sources)}", Exit.USAGE)
    with space.engine.begin() as conn:
        return table.import_labels(conn, source, rows, author, reason, golden=golden)
