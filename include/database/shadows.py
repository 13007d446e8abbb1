"""Shadow scores: what a challenger thinks of the champion's nights, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database import SCHEMA, models, replacing

# `telling` alone would leave the order of equals to chance.
DISAGREEMENTS = sa.text(
    f"SELECT * FROM {SCHEMA}.disagreements WHERE (:source IS NULL OR source = :source) "  # noqa: S608  our names
    "ORDER BY telling DESC, time, source, session LIMIT :limit"
).bindparams(sa.bindparam("source", type_=sa.Text))


@dataclass(frozen=True, slots=True)
class ShadowScoring:
    """That a champion and a challenger judged the same windows of an interval."""

    source: str
    interval_start: datetime
    interval_end: datetime
    champion_version: str
    challenger_version: str
    windows: int
    flagged: int
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class ShadowScore:
    """A window that one of the two flags, or both; what it shares with its `ShadowScoring` is
    taken from there."""

    window_id: str
    session_key: str | None
    window_start: datetime
    window_end: datetime
    champion_score: float
    champion_threshold: float
    challenger_score: float
    challenger_threshold: float
    reason: str
    lines: list[dict[str, Any]]


def replace_interval(
    conn: Connection, scoring: ShadowScoring, found: Sequence[ShadowScore]
) -> None:
    """Make the rows of an interval and pair of versions exactly these, as
    `replacing.replace_interval` does it; call it within a transaction."""
    rows = [asdict(score) for score in found]
    replacing.replace_interval(
        conn, models.ShadowScoring, models.ShadowScore, asdict(scoring), rows
    )


def disagreements(
    conn: Connection, source: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """The rows of the view `disagreements`, the most telling first."""
    rows = conn.execute(DISAGREEMENTS, {"source": source, "limit": limit})
    return [dict(row) for row in rows.mappings()]
