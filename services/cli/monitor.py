"""monitor: how the sources do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    app.command()(monitor)


def monitor(source: Source = None, json: Json = False) -> None:
    """Show what was measured of each source on its last measured day, and what is past its bound.

    Example: loganalyzer monitor --source storage
    """
    with told_errors():
        space = workspace()
        from include.database import monitoring

        with space.engine.connect() as conn:
            rows = monitoring.latest(conn, source)
    if json:
        print_json(rows)
    elif rows:
        columns = ["source", "day", "measure", "value", "bound", "", "what was found"]
        print_table("Monitoring", columns, [_shown(row) for row in rows])
        asked = {row["source"]: row["retrain_asked_at"] for row in rows if row["retrain_asked_at"]}
        for name, moment in asked.items():
            console.print(f"{name}: a retrain was asked for at {moment:%Y-%m-%d %H:%M} UTC")
    else:
        console.print("nothing is measured yet; the DAG `monitor_sources` does it every night")


def _shown(row: Mapping[str, Any]) -> list[str]:
    return [
        row["source"],
        str(row["day"]),
        row["measure"],
        "" if row["value"] is None else f"{row['value']:.4g}",
        f"{row['bound']:.4g}",
        "past" if row["is_past"] else "",
        row["reason"],
    ]
