"""sources: which logs there are, and how a new one reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.common import Json, console, print_json, print_table, told_errors, workspace

app = typer.Typer(name="sources", help="List log sources, or propose one from a file.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List the log sources, with what was read of each."""
    with told_errors():
        space = workspace()
        from include.database import ledger

        with space.engine.connect() as conn:
            totals = ledger.totals(conn)
    if json:
        described = {name: each.model_dump(mode="json") for name, each in space.sources.items()}
        print_json({"sources": described, "ledger": totals})
        return
    rows = []
    for name, source in space.sources.items():
        states = [total for total in totals if total["source"] == name] or [{}]
        for state in states:
            rows.append(
                [
                    name,
                    source.format if isinstance(source.format, str) else "own expression",
                    source.windowing.kind,
                    state.get("state", "nothing read yet"),
                    *(state.get(n, 0) for n in ("objects", "lines_read", "events")),
                    state.get("lines_quarantined", 0),
                ]
            )
    columns = ["source", "format", "windows", "state", "objects", "lines", "events", "quarantined"]
    print_table("Log sources", columns, rows)


@app.command()
def detect(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A log file.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the source; the file's by default.")
    ] = None,
) -> None:
    """Propose a log source from a sample: format, sessions or windows. Prints YAML.

    Example: loganalyzer sources detect app.log > include/sources/app.yaml
    """
    from include.sources import dump_source
    from include.sources.detect import propose_source

    with told_errors():
        proposal = propose_source(file, name)
    console.print(
        f"# {proposal.share_parsed:.1%} of {proposal.lines} lines parse as {proposal.format_name}",
        highlight=False,
    )
    typer.echo(dump_source(proposal.source), nl=False)
