"""The command `loganalyzer incidents`: the list, and what people say of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from include.database import incidents
from include.workspace import Workspace
from services.cli import app

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
# What is after all nights: no anomaly's incident is replaced.
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
ROW: dict[str, Any] = {
    "incident_id": "cli0",
    "title": "disk: 3 sessions hold `\x1b[31m[bold]full`, never seen before, first seen 09:00",
    "reason": "never seen before: “\x1b[31mfull”",
    "signature": "new:ab",
    "sources": ["cli_incidents"],
    "started_at": NINE,
    "ended_at": NINE + timedelta(hours=1),
    "first_night": NINE,
    "last_night": NINE,
    "anomalies": 3,
    "sessions": 3,
    "severity": "medium",
    "score": 4.0,
    "component": None,
    "level": None,
    "state": "open",
}
WORSE = {**ROW, "incident_id": "cli1", "severity": "critical", "title": "disk: silence"}
OVER = {**ROW, "incident_id": "cli2", "state": "expired"}


@pytest.fixture(autouse=True)
def rows(workspace: Workspace) -> Iterator[None]:
    with workspace.engine.begin() as conn:
        incidents.replace_from(conn, NEVER, [ROW, WORSE, OVER], [], {})
    yield
    with workspace.engine.begin() as conn:
        gone = "DELETE FROM loganalyzer.incidents WHERE sources = ARRAY['cli_incidents']"
        conn.execute(sa.text(gone))


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["incidents", *words])


def listed(*words: str) -> list[str]:
    told = run("--source", "cli_incidents", "--json", *words)
    assert told.exit_code == 0, told.output
    return [row["incident_id"] for row in json.loads(told.stdout)]


def test_those_that_may_go_on_are_listed_the_worst_first() -> None:
    assert listed() == ["cli1", "cli0"]
    assert listed("--state", "expired") == ["cli2"]
    assert run("--source", "nobody").stdout.startswith("no such incidents")


def test_what_logs_say_is_shown_as_it_is() -> None:
    told = run("--source", "cli_incidents").stdout
    assert "\x1b[31m" not in told
    assert "\\x1b" in told
    assert "bold" in told


def test_a_person_says_that_it_is_over() -> None:
    told = run("resolve", "cli0", "--author", "ann", "--reason", "disk exchanged")
    assert (told.exit_code, told.stdout) == (0, "resolved\n")
    assert listed() == ["cli1"]
    (row,) = json.loads(run("-s", "cli_incidents", "--state", "resolved", "--json").stdout)
    assert (row["resolved_by"], row["resolved_reason"]) == ("ann", "disk exchanged")


@pytest.mark.parametrize(
    ("key", "said"), [("nonesuch", "no incident"), ("cli0", "ann resolved cli0 on")]
)
def test_what_cannot_be_resolved_is_wrong_input(key: str, said: str) -> None:
    run("resolve", "cli0", "--author", "ann", "--reason", "over")
    told = run("resolve", key, "--reason", "over")
    assert told.exit_code == 2
    assert said in told.stderr
