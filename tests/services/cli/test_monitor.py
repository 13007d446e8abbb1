"""The command `loganalyzer monitor`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from typer.testing import CliRunner, Result

from include.database import monitoring
from include.database.monitoring import Measurement
from include.workspace import Workspace
from services.cli import app

DAY = date(2026, 3, 2)
ROWS = [
    Measurement("cli_drift", DAY, "score_drift", 0.5, 0.25, True, "3", 9, "scores rose"),
    Measurement("cli_drift", DAY, "volume", None, 3.0, False, None, 7, "7 events"),
]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["monitor", *words])


@pytest.fixture
def source(workspace: Workspace) -> str:
    with workspace.engine.begin() as conn:
        monitoring.replace_day(conn, "cli_drift", DAY, ROWS)
        asked_at = datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
        monitoring.record_request(conn, "cli_drift", asked_at, DAY, "scores rose")
    return "cli_drift"


def test_the_table_says_what_is_past_and_when_a_retrain_was_asked_for(source: str) -> None:
    told = run("--source", source)
    assert told.exit_code == 0, told.output
    drift, volume = (line for line in told.stdout.splitlines() if "2026-03-02" in line)
    assert "past" in drift
    assert "past" not in volume
    assert "cli_drift: a retrain was asked for at 2026-03-03 03:30 UTC" in told.stdout


def test_json_has_the_columns_of_the_table(source: str) -> None:
    drift, volume = json.loads(run("--source", source, "--json").stdout)
    assert (drift["measure"], drift["value"], drift["is_past"]) == ("score_drift", 0.5, True)
    assert (volume["value"], volume["model_version"]) == (None, None)


def test_a_source_that_is_not_measured_yet_says_so(source: str) -> None:
    assert "nothing is measured yet" in run("--source", "nobody").stdout
