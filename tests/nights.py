"""Nights with anomalies, for tests. Where these share a database, each has a source of its own, so
that they do not see each other's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa

from include.database import anomalies
from include.database.anomalies import Anomaly, Scoring
from include.incidents import group_from
from include.workspace import Workspace

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def new_source() -> str:
    return f"disk_{uuid4().hex[:12]}"


def anomaly(
    start: datetime, window: str | None = None, score: float = 3.0, kind: str = "missing:ab"
) -> Anomaly:
    key = window or f"{start:%d%H%M}"
    return Anomaly(
        window_id=key,
        session_key=f"session-{key}",
        window_start=start,
        window_end=start + timedelta(minutes=5),
        score=score,
        threshold=2.0,
        severity="high",
        reason=f"odd at {start:%H:%M}",
        explanation=[],
        lines=[],
        events=7,
        detector="novelty",
        signature=kind,
        sequence=[],
    )


def score(
    space: Workspace,
    source: str,
    night: datetime,
    found: Sequence[Anomaly],
    version: str = "1",
    later: timedelta = DAY,
) -> None:
    """Write what a model found in a night."""
    scoring = Scoring(
        source=source,
        interval_start=night,
        interval_end=night + DAY,
        model_name=source,
        model_version=version,
        catalogue_version=0,
        detector="novelty",
        windows=100,
        events=1000,
        anomalies=len(found),
        threshold=2.0,
        scored_at=night + later,
    )
    with space.engine.begin() as conn:
        anomalies.replace_interval(conn, scoring, found)


@contextmanager
def scored(space: Workspace, source: str, nights: Sequence[Sequence[Anomaly]]) -> Iterator[None]:
    """Nights from Monday on, and the incidents of them; gone afterwards."""
    for number, found in enumerate(nights):
        score(space, source, MONDAY + number * DAY, found)
    group_from(space, MONDAY)
    try:
        yield
    finally:
        forget(space, source)


def forget(space: Workspace, source: str) -> None:
    with space.engine.begin() as conn:
        for table in ("incident_anomalies", "anomalies", "scorings", "feedback", "labels"):
            conn.execute(
                sa.text(f"DELETE FROM loganalyzer.{table} WHERE source = :source"),
                {"source": source},
            )
        gone = "DELETE FROM loganalyzer.incidents WHERE :source = ANY(sources)"
        conn.execute(sa.text(gone), {"source": source})
