"""The command `loganalyzer disagreements`, and the answers to it, as people give them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from include.database import shadows
from include.database.shadows import ShadowScore, ShadowScoring
from include.workspace import Workspace, open_workspace
from services.cli import app

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NINE = MONDAY + timedelta(hours=9)
DAY = timedelta(days=1)
WINDOW = ShadowScore(
    window_id="w1",
    session_key="it's \x1b[31mred",
    window_start=NINE,
    window_end=NINE + timedelta(minutes=4, microseconds=17),
    champion_score=0.5,
    champion_threshold=3.0,
    challenger_score=4.25,
    challenger_threshold=2.0,
    reason="never seen before: “disk full”",
    lines=[{"object_key": "a.log", "line_number": 3}],
)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words])


def write(space: Workspace, source: str, *found: ShadowScore) -> None:
    scoring = ShadowScoring(source, MONDAY, MONDAY + DAY, "1", "2", 100, len(found), MONDAY + DAY)
    with space.engine.begin() as conn:
        shadows.replace_interval(conn, scoring, found)


@pytest.fixture
def source(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "dis_" + request.node.name.removeprefix("test_")[:40]
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(
        f"name: {name}\nformat: python\nwindowing: {{kind: time, size: 5m, step: 5m}}\n"
    )
    open_workspace.cache_clear()
    yield name
    write(open_workspace(), name)


def test_who_flags_what_is_shown_and_why(source: str) -> None:
    fewer = replace(WINDOW, window_id="w2", session_key="plain", challenger_score=2.5)
    write(open_workspace(), source, fewer, WINDOW)
    told = run("disagreements", "--source", source)
    assert told.exit_code == 0, told.output
    assert "0.50 ≤ 3.00" in told.stdout
    assert "4.25 > 2.00" in told.stdout
    assert "challenger" in told.stdout
    assert "\x1b" not in told.stdout
    rows = json.loads(run("disagreements", "--source", source, "--json").stdout)
    assert [row["session"] for row in rows] == ["it's \x1b[31mred", "plain"]
    (first,) = json.loads(run("disagreements", "-s", source, "--limit", "1", "--json").stdout)
    assert first == rows[0]


@pytest.mark.parametrize("session", ["it's a b", None], ids=["a session", "an interval"])
def test_the_answer_that_is_shown_takes_the_first_off_the_list(
    source: str, session: str | None
) -> None:
    write(open_workspace(), source, replace(WINDOW, session_key=session))
    told = run("disagreements", "--source", source)
    (answer,) = re.findall(r"^loganalyzer (labels add .*)…$", told.stdout, re.MULTILINE)
    added = run(*shlex.split(answer), "was a test")
    assert added.exit_code == 0, added.output
    left = run("disagreements", "--source", source)
    assert left.exit_code == 0
    assert "no disagreements" in left.stdout
    assert json.loads(run("disagreements", "--source", source, "--json").stdout) == []
