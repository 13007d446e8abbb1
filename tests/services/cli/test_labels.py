"""The commands `loganalyzer labels`, as people call them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from include.database import labels
from include.workspace import Workspace, open_workspace
from services.cli import app

NINE, TEN = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)
INTERVAL = ["--from", "2026-03-02T09:00:00", "--until", "2026-03-02T10:00:00"]
SAID = ["--verdict", "anomalous", "--reason", "disk full"]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["labels", *words])


@pytest.fixture
def source(workspace: Workspace, request: pytest.FixtureRequest) -> str:
    name = "lab_" + request.node.name.removeprefix("test_").split("[")[0][:40]
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(
        f"name: {name}\nformat: python\nwindowing: {{kind: time, size: 5m, step: 5m}}\n"
    )
    open_workspace.cache_clear()
    return name


def known(source: str, *, golden: bool = False) -> list[tuple[object, ...]]:
    read = labels.golden_labels_of if golden else labels.labels_of
    with open_workspace().engine.connect() as conn:
        return read(conn, source).rows()


def test_a_label_speaks_of_a_session_an_interval_or_both(source: str) -> None:
    for words in (["--session", "a"], INTERVAL, ["--session", "a", *INTERVAL]):
        told = run("add", "--source", source, *words, *SAID)
        assert (told.exit_code, told.stdout) == (0, "added\n"), told.output
    assert known(source) == [
        ("a", None, None, True),
        (None, NINE, TEN, True),
        ("a", NINE, TEN, True),
    ]
    again = run("add", "--source", source, "--session", "a", *SAID)
    assert again.stdout == "this label is there already\n"


def test_a_golden_incident_stays_one(source: str, tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("session_key,label\na,anomalous\nb,anomalous\n")
    file = str(tmp_path / "known.csv")
    assert run("import", file, "--source", source).exit_code == 0
    assert known(source, golden=True) == []
    told = run("add", "--source", source, "--session", "a", *SAID, "--golden")
    assert told.stdout == "added\n"
    assert "0 new or changed" in run("import", file, "--source", source).stdout
    assert known(source, golden=True) == [("a", None, None, True)]
    assert "1 new or changed" in run("import", file, "--source", source, "--golden").stdout
    assert len(known(source, golden=True)) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(SAID, "neither a session key nor an interval", id="of nothing"),
        pytest.param([*SAID, *INTERVAL[:2]], "both a start and a later end", id="half an interval"),
        pytest.param(
            [*SAID, "--from", "2026-03-03", "--until", "2026-03-02"], "a later end", id="backwards"
        ),
        pytest.param(
            ["--session", "a", "--verdict", "normal", "--reason", "a test", "--golden"],
            "session a is labelled normal, and only an anomaly can be a golden incident",
            id="golden, but normal",
        ),
        pytest.param(
            ["--session", "a", "--verdict", "perhaps", "--reason", "?"], "perhaps", id="verdict"
        ),
        pytest.param(["--session", "a", "--verdict", "normal"], "--reason", id="no reason"),
    ],
)
def test_wrong_usage_is_told(source: str, words: list[str], why: str) -> None:
    told = run("add", "--source", source, *words)
    assert told.exit_code == 2
    assert why in " ".join(told.stderr.split())
    assert known(source) == []


def test_calling_a_golden_incident_normal_is_refused(source: str) -> None:
    run("add", "--source", source, "--session", "a", *SAID, "--golden")
    told = run(
        "add", "--source", source, "--session", "a", "--verdict", "normal", "--reason", "a test"
    )
    assert told.exit_code == 2
    assert "session a is a golden incident" in " ".join(told.stderr.split())
    assert known(source, golden=True) == [("a", None, None, True)]


@pytest.mark.usefixtures("workspace")
def test_an_unknown_source_is_wrong_usage() -> None:
    told = run("add", "--source", "nowhere", "--session", "a", *SAID)
    assert told.exit_code == 2
    assert "no log source 'nowhere'" in told.stderr
