"""templates: what kinds of messages there are, and what a release changed in them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from services.cli import template_edits
from services.cli.common import (
    Exit,
    Json,
    Source,
    console,
    errors,
    fail,
    print_json,
    print_table,
    told_errors,
    workspace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from include.sources import LogSource
    from include.workspace import Workspace

app = typer.Typer(name="templates", help="List, compare and correct message templates.")
template_edits.register(app)

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
NewSince = Annotated[
    datetime | None,
    typer.Option(formats=TIMES, help="UTC: only templates whose first event is not before it."),
]
CHUNK_LINES = 250_000
SECONDS_PER_DAY = 86_400


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context, source: Source = None, new_since: NewSince = None, json: Json = False
) -> None:
    """List, compare and correct message templates. Lists where no verb is given."""
    if context.invoked_subcommand is None:
        list_(source, new_since, json)
    elif source or new_since or json:
        verb = context.invoked_subcommand
        fail(f"options go after the verb: `loganalyzer templates {verb} …`", Exit.USAGE)


@app.command("list")
def list_(source: Source = None, new_since: NewSince = None, json: Json = False) -> None:
    """List the templates: how often, since when, and a line that shows each.

    Example: loganalyzer templates list --source storage --new-since 2026-03-01
    """
    with told_errors():
        space = workspace()
        _chosen(space, source)
        from include.database.template_usage import usage

        with space.engine.connect() as conn:
            rows = usage(conn, source, _utc(new_since))
        _add_messages(space, rows)
    if json:
        print_json(rows)
    elif not rows:
        console.print("no templates; `loganalyzer ingest` finds them in new logs")
    else:
        columns = ["source", "id", "template", "first seen (UTC)", "last seen (UTC)", "count"]
        columns += ["per day", "example"]
        print_table("Templates", columns, [_shown(row) for row in rows])


@app.command()
def diff(
    before: Annotated[datetime, typer.Option(formats=TIMES, help="UTC: when, say, a release was.")],
    source: Source = None,
    json: Json = False,
) -> None:
    """Show which templates are new, gone or changed in rate since a moment.

    Everything known before it is compared with everything since. An object that holds events of
    both sides is split as if its events came evenly.

    Example: loganalyzer templates diff --before 2026-03-04T12:00 --source storage
    """
    moment = before.replace(tzinfo=UTC)
    with told_errors():
        space = workspace()
        rows = []
        compared = 0
        for name in _chosen(space, source):
            found = _changes(space, name, moment)
            compared += found is not None
            rows += found or []
    if not compared:
        fail(f"no events on both sides of {moment:%Y-%m-%d %H:%M:%S} UTC", Exit.USAGE)
    if json:
        print_json(rows)
        return
    columns = ["source", "change", "id", "template", "per day before", "per day since", "surprise"]
    shown = [
        [
            *(row[name] for name in ("source", "kind", "template_id", "text")),
            *(f"{row[name]:,.1f}" for name in ("before_per_day", "since_per_day", "surprise")),
        ]
        for row in rows
    ]
    print_table(f"Changes since {moment:%Y-%m-%d %H:%M:%S} UTC", columns, shown)


@app.command("try")
def try_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A log file.")],
    json: Json = False,
) -> None:
    """Show what would be mined from a file. Nothing is stored and no stack is needed.

    Example: loganalyzer templates try app.log
    """
    from include.ingest.decode import UnreadableObject

    with told_errors():
        try:
            rows, told = _mined(file)
        except UnreadableObject as error:
            fail(f"{file}: {error}", Exit.USAGE)
    if json:
        print_json({"file": str(file), **told, "templates": rows})
        return
    title = f"{len(rows)} templates of {told['messages']:,} messages, read as {told['format']}"
    if told["quarantined"]:
        title += f"; {told['quarantined']:,} lines do not parse"
    shown = [[row["template_id"], row["text"], f"{row['count']:,}", row["example"]] for row in rows]
    print_table(title, ["id", "template", "count", "example"], shown)


def _chosen(space: Workspace, source: str | None) -> list[str]:
    """The names of the chosen sources; an unknown one is wrong usage."""
    try:
        return [each.name for each in space.chosen(source)]
    except KeyError as error:
        fail(str(error.args[0]), Exit.USAGE)


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)


def _add_messages(space: Workspace, rows: list[dict[str, Any]]) -> None:
    """Split `example` into the address (`example_object_key`, `example_line_number`) and the
    message that stands there."""
    from include.lake.events import messages_at

    for row in rows:
        key, _, line = (row["example"] or "").rpartition(":")
        row["example_object_key"] = key or None
        row["example_line_number"] = int(line) if line else None
    messages: dict[tuple[str, int], str] = {}
    for source in {row["source"] for row in rows}:
        addresses = [
            (row["example_object_key"], row["example_line_number"])
            for row in rows
            if row["source"] == source and row["example"]
        ]
        messages |= messages_at(space, source, addresses)
    for row in rows:
        row["example"] = messages.get((row["example_object_key"], row["example_line_number"]))


def _shown(row: dict[str, Any]) -> list[str]:
    address = f"{row['example_object_key']}:{row['example_line_number']}"
    return [
        row["source"],
        row["template_id"],
        row["name"] or row["text"],
        *(
            row[name].strftime("%Y-%m-%d %H:%M:%S") if row[name] else ""
            for name in ("first_seen_utc", "last_seen_utc")
        ),
        f"{row['count']:,}",
        f"{row['per_day']:,.1f}",
        f"{address} {row['example']}" if row["example"] else "",
    ]


def _changes(space: Workspace, source: str, moment: datetime) -> list[dict[str, Any]] | None:
    """The changes of a source, None where its events lie on one side of the moment only."""
    from include.database import ledger
    from include.database.template_usage import usage_around
    from ml.templates.changes import Use, changes

    with space.engine.connect() as conn:
        span = ledger.span_of_events(conn, source)
        if span is None or not span[0] < moment < span[1]:
            return None
        uses = usage_around(conn, source, moment)
    texts = {use.template_id: use.text for use in uses}
    found = changes(
        [Use(use.template_id, use.before, use.since) for use in uses],
        (moment - span[0]).total_seconds() / SECONDS_PER_DAY,
        (span[1] - moment).total_seconds() / SECONDS_PER_DAY,
    )
    return [{"source": source, "text": texts[each.template_id], **asdict(each)} for each in found]


def _mined(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The templates of a file, the most frequent first, and how it was read."""
    import polars as pl
    from rich import progress

    from include.sources import InvalidSource
    from include.sources.detect import propose_source
    from ml.templates import Catalogue, count_shapes, merge_shapes

    source, told = None, {"format": "whole lines", "messages": 0, "quarantined": 0}
    try:
        proposal = propose_source(file)
        source, told["format"] = proposal.source, proposal.format_name
    except InvalidSource:
        errors.print("no known format fits: each line is taken whole, as a message", markup=False)
    shapes = count_shapes(pl.Series("message", [], pl.String))
    with progress.open(file, "rb", console=errors, transient=True, description="reading") as stream:
        for messages, quarantined in _messages(file, stream, source):
            shapes = merge_shapes([shapes, count_shapes(messages)])
            told["messages"] += len(messages)
            told["quarantined"] += quarantined
    catalogue = Catalogue.empty(source.name if source else "tried").learn(shapes)
    found = (
        shapes.with_columns(template_id=catalogue.identify(shapes["example"]))
        .group_by("template_id")
        .agg(pl.col("count").sum(), pl.col("example").min())
        .sort(["count", "template_id"], descending=[True, False])
    )
    rows = [{**row, "text": catalogue.text(row["template_id"])} for row in found.to_dicts()]
    return rows, told


def _messages(
    file: Path, stream: BinaryIO, source: LogSource | None
) -> Iterator[tuple[pl.Series, int]]:
    """The messages of a file, a chunk at a time, each with how many lines did not parse."""
    from include.ingest.decode import read_lines
    from include.ingest.parse import parse_chunks

    if source is None:
        for lines in read_lines(stream, CHUNK_LINES):
            yield lines.filter(lines.str.strip_chars() != "").alias("message"), 0
        return
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    for chunk in parse_chunks(stream, source, file.name, written, CHUNK_LINES):
        yield chunk.events["message"], len(chunk.quarantined)
