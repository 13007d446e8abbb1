"""How benchmarks report: a table for people, and one line of JSON with the same figures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from include.settings import PROJECT_ROOT


def default_data() -> Path:
    """The folder of the real logs."""
    return Path(os.environ.get("LOGANALYZER_DATA", PROJECT_ROOT.parent / "shared" / "data"))


def table(columns: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> None:
    shown = Table("", *columns)
    for name, row in rows.items():
        shown.add_row(name, *(_cell(row.get(column, "-")) for column in columns))
    Console(width=200).print(shown)


def finish(figures: Mapping[str, Any]) -> None:
    """The last line of every benchmark."""
    print(json.dumps(figures))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
