"""Which nights a run of `score_nightly` scores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from include.database import coverage
from include.intervals import nights
from include.sources import LogSource, dump_source
from include.workspace import Workspace

# Lines that come later than this change no night by themselves.
LATEST = timedelta(days=30)


def plan(workspace: Workspace, params: Mapping[str, Any], moment: datetime) -> list[dict[str, str]]:
    """Source, start and end of each night to score: the days asked for, or the day before `moment`
    and the nights before it that lines have come late for.

    Each of them is in `coverage` from now on, so that one that fails is seen there. Raises
    ValueError where the days are in the wrong order, or a model version has no source.
    """
    if params["model_version"] and not params["source"]:
        raise ValueError("a model version is that of one source: choose the source too")
    asked = nights(params, moment)
    is_nightly = not (params["first_day"] or params["last_day"])
    planned = []
    with workspace.engine.begin() as conn:
        coverage.keep_sources(conn, map(_row, workspace.sources.values()))
        for source in workspace.chosen(params["source"]):
            late: list[tuple[datetime, datetime]] = []
            if is_nightly:
                lookback = source.windowing.rule.lookback
                until = asked[0][0]
                late = coverage.nights_touched(conn, source.name, until - LATEST, until, lookback)
            for start, end in [*late, *asked]:
                if not params["model_version"]:
                    coverage.record(conn, source.name, start, end, moment, None)
                planned.append((source.name, start, end))
    return [
        {"source": source, "start": start.isoformat(), "end": end.isoformat()}
        for source, start, end in planned
    ]


def _row(source: LogSource) -> dict[str, str]:
    return {
        "source": source.name,
        "prefix": source.prefix,
        "format": source.format if isinstance(source.format, str) else "custom",
        "windowing": source.windowing.kind,
        "description": dump_source(source),
    }
