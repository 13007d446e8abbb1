"""The commands `loganalyzer feedback`, as people call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from include.database import anomalies
from include.database.anomalies import Anomaly, Scoring
from include.workspace import Workspace, open_workspace
from services.cli import app

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
FALSE = ["--verdict", "false", "--reason", "a \x1b[31mtest", "--author", "ada"]


def run(*words: str, said: str | None = None) -> Result:
    return CliRunner().invoke(app, ["feedback", *words], input=said)


def listed(source: str) -> list[dict[str, object]]:
    return json.loads(run("list", "--source", source, "--json").stdout)


@pytest.fixture
def source(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[str]:
    """A source with one anomaly a night, of one kind, in sessions s0 to s3."""
    name = "fee_" + request.node.name.removeprefix("test_").split("[")[0][:40]
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(
        f"name: {name}\nformat: python\nwindowing: {{kind: time, size: 5m, step: 5m}}\n"
    )
    open_workspace.cache_clear()
    engine = open_workspace().engine
    for night in range(4):
        start = MONDAY + night * DAY
        scored = Scoring(
            name, start, start + DAY, "m", "1", 0, "novelty", 9, 90, 1, 0.5, start + DAY
        )
        at = start + timedelta(hours=9)
        found = Anomaly(
            f"w{night}",
            f"s{night}",
            at,
            at,
            0.9,
            0.5,
            "high",
            "",
            [],
            [],
            1,
            "novelty",
            "new:a",
            [],
        )
        with engine.begin() as conn:
            anomalies.replace_interval(conn, scored, [found])
    yield name
    with engine.begin() as conn:
        for table in ("feedback", "labels", "scorings"):
            conn.execute(
                sa.text(f"DELETE FROM loganalyzer.{table} WHERE source = :source"),
                {"source": name},
            )


def test_it_is_told_what_a_mute_would_hide_before_it_is_saved(source: str) -> None:
    words = ["give", "--source", source, "--session", "s2", *FALSE]
    refused = run(*words, said="n\n")
    assert refused.exit_code == 1
    assert "hidden 4 anomalies of the last 30 nights, none confirmed" in refused.stdout
    assert listed(source) == []
    assert run(*words, said="y\n").exit_code == 0
    (row,) = listed(source)
    assert (row["window_id"], row["author"], row["hidden"]) == ("w2", "ada", 2)


def test_a_script_is_not_asked_and_a_terminal_not_steered(source: str) -> None:
    said = run("give", "--source", source, "--window", "w0", *FALSE, "--yes")
    assert said.exit_code == 0, said.output
    told = run("list", "--source", source)
    assert "\x1b" not in told.stdout
    assert "new:a" in told.stdout


def test_what_is_confirmed_needs_no_question(source: str) -> None:
    words = ["--source", source, "--session", "s1", "--verdict", "true", "--reason", "an outage"]
    told = run("give", *words)
    assert told.exit_code == 0, told.output
    assert "hidden" not in told.stdout
    (row,) = listed(source)
    assert (row["verdict"], row["hidden"]) == ("true", None)


def test_what_is_expected_ends_in_utc(source: str) -> None:
    words = ["--verdict", "expected", "--until", "2026-03-04T12:00:00", "--reason", "a release"]
    assert run("give", "-s", source, "--session", "s0", *words, "-y").exit_code == 0
    (row,) = listed(source)
    assert row["until"] == "2026-03-04 12:00:00+00:00"
    assert row["hidden"] == 3


def test_what_was_said_is_withdrawn(source: str) -> None:
    run("give", "--source", source, "--session", "s0", *FALSE, "-y")
    (row,) = listed(source)
    told = run("withdraw", str(row["feedback_id"]), "--reason", "a mistake")
    assert told.exit_code == 0, told.output
    assert "no feedback" in run("list", "--source", source).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--session", "s9"], "no anomaly of session s9"),
        (["--window", "w9"], "no anomaly w9"),
        ([], "name one of"),
        (["--window", "w0", "--template", "a"], "name one of"),
    ],
    ids=["an unknown session", "an unknown window", "nothing", "two things"],
)
def test_what_cannot_be_said_is_a_usage_error(source: str, words: list[str], message: str) -> None:
    told = run("give", "--source", source, *words, *FALSE, "-y")
    assert (told.exit_code, listed(source)) == (2, [])
    assert message in told.stderr


def test_feedback_that_is_not_in_force_is_not_withdrawn(source: str) -> None:
    told = run("withdraw", "999999", "--reason", "a mistake")
    assert told.exit_code == 2
    assert "no feedback 999999 is in force" in told.stderr
