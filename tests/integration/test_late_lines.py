"""Lines that come after their night was judged: the night is planned, and judged, again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from include.nights import plan
from include.scoring import score_night
from include.workspace import Workspace, open_workspace
from services.cli import app

SOURCE = "late"
DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FORM = {"source": SOURCE, "first_day": None, "last_day": None, "model_version": None}
FILE = f"""
name: {SOURCE}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""


@pytest.fixture
def space(workspace: Workspace) -> Workspace:
    Path(workspace.settings.sources_path, f"{SOURCE}.yaml").write_text(FILE)
    open_workspace.cache_clear()
    return open_workspace()


def put(space: Workspace, hour: int, message: str, first: int, count: int = 20) -> None:
    lines = "".join(
        f"2026-03-02 {hour:02}:{n:02}:00,000 INFO a.B: req={first + n:08x} {message}\n"
        f"2026-03-02 {hour:02}:{n:02}:01,000 INFO a.B: req={first + n:08x} done\n"
        for n in range(count)
    )
    space.store.put_bytes(space.settings.bucket_logs, f"{SOURCE}/{hour}.log", lines.encode())


def score(space: Workspace, moment: datetime) -> list[str]:
    """One nightly run without Airflow; the nights that it scored."""
    planned = plan(space, FORM, moment)
    for night in planned:
        score_night(space, **night)
    return [night["start"][:10] for night in planned]


def test_late_lines_have_their_night_judged_again_with_all_of_its_events(
    space: Workspace, ingest: Callable[[Workspace, str], int]
) -> None:
    put(space, 9, "all is well", 0)
    ingest(space, SOURCE)
    assert score(space, MONDAY + DAY) == ["2026-03-02"]
    assert score(space, MONDAY + 2 * DAY) == ["2026-03-03"]
    # Where nothing came, nothing is done twice.
    assert score(space, MONDAY + 3 * DAY) == ["2026-03-04"]
    put(space, 11, "all is lost", 100, count=1)
    ingest(space, SOURCE)
    # A session of the next night might have begun there, as far as the night's rule knows.
    assert score(space, MONDAY + 4 * DAY) == ["2026-03-02", "2026-03-03", "2026-03-05"]

    told = CliRunner().invoke(app, ["coverage", "--source", SOURCE, "--json"])
    assert told.exit_code == 0, told.output
    nights = {row["interval_start"][:10]: row for row in json.loads(told.stdout)}
    late = nights["2026-03-02"]
    assert (late["objects_arrived"], late["objects_late"], late["windows"]) == (2, 1, 21)
    assert nights["2026-03-05"]["reason"] == "no logs arrived; no window closed"
    query = sa.text("SELECT reason FROM loganalyzer.current_anomalies WHERE source = :source")
    with space.engine.connect() as conn:
        reasons = conn.scalars(query, {"source": SOURCE}).all()
        assert any("all is lost" in reason for reason in reasons), reasons
        sources = sa.text("SELECT format, windowing FROM loganalyzer.sources WHERE source = :name")
        assert conn.execute(sources, {"name": SOURCE}).one() == ("log4j", "session")


def test_a_version_without_a_source_is_refused(space: Workspace) -> None:
    with pytest.raises(ValueError, match="choose the source too"):
        plan(space, {**FORM, "source": None, "model_version": "3"}, MONDAY)
