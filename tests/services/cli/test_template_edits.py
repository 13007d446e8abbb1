"""The commands that correct templates, as people call them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from include.lake.events import read_windows
from include.workspace import Workspace, open_workspace
from services.cli import app

Ingest = Callable[[Workspace, str], int]

START = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["templates", *words])


@pytest.fixture
def source(workspace: Workspace, ingest: Ingest, request: pytest.FixtureRequest) -> str:
    name = "edit_" + request.node.name.removeprefix("test_")[:40]
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(
        f"name: {name}\nformat: python\nwindowing: {{kind: time, size: 5m, step: 5m}}\n"
    )
    open_workspace.cache_clear()
    messages = [*(f"disk {each} state good" for each in NAMES), "disk full", "no room"]
    ingest(put(name, "first", messages), name)
    return name


def put(name: str, key: str, messages: list[str]) -> Workspace:
    space = open_workspace()
    text = "".join(f"{START:%Y-%m-%d %H:%M:%S},000 app - INFO - {each}\n" for each in messages)
    space.store.put_bytes(space.settings.bucket_logs, f"{name}/{key}.log", text.encode())
    return space


def listed(name: str) -> dict[str, dict[str, object]]:
    told = run("list", "--source", name, "--json")
    assert told.exit_code == 0, told.output
    return {row["name"] or row["text"]: row for row in json.loads(told.stdout)}


def test_edits_show_in_lists_windows_and_history(source: str, ingest: Ingest) -> None:
    ids = {text: str(row["template_id"]) for text, row in listed(source).items()}
    by = ["--by", "ada", "--note", "the same thing"]
    for words in (
        ["merge", ids["no room"], ids["disk full"], *by],
        ["rename", ids["disk full"], "out of space", *by],
        ["split", ids["disk <*> state good"], "--parameter", "1", "--value", "alpha", *by],
        ["pin", ids["disk full"], *by],
    ):
        told = run(*words)
        assert told.exit_code == 0, told.output
    ingest(put(source, "later", ["no room", "disk alpha state good"]), source)
    rows = listed(source)
    assert rows["out of space"]["count"] == 3
    assert rows["disk alpha state good"]["count"] == 1
    assert "no room" not in rows
    space = open_workspace()
    windows = read_windows(space, space.source(source), START, START + timedelta(days=1))
    counts = dict(windows.events["template_id"].value_counts().iter_rows())
    assert counts[ids["disk full"]] == 3
    assert windows.texts[ids["disk full"]] == "out of space"
    history = json.loads(run("history", "--source", source, "--json").stdout)
    mined = [row for row in history if row["changed_by"] == "ingest"]
    assert {row["kind"] for row in mined} == {"created"}
    said = [(row["kind"], row["note"]) for row in history if row["changed_by"] == "ada"]
    assert said == [(kind, "the same thing") for kind in ("merged", "renamed", "split", "pinned")]
    assert "out of space" in run("history", ids["disk full"]).stdout


def test_the_same_edit_again_changes_nothing(source: str) -> None:
    full = str(listed(source)["disk full"]["template_id"])
    assert "retired" in run("retire", full).stdout
    assert "nothing to change" in run("retire", full).stdout
    assert "restored" in run("restore", full).stdout
    kinds = [row["kind"] for row in json.loads(run("history", full, "--json").stdout)]
    assert kinds == ["created", "retired", "restored"]


def test_what_cannot_be_is_wrong_usage(source: str) -> None:
    full = str(listed(source)["disk full"]["template_id"])
    for words, why in (
        (["pin", "nothing"], "no template 'nothing'"),
        (["merge", full, full], "into itself"),
        (["split", full, "--parameter", "1", "--value", "x"], "no word of its own"),
    ):
        told = run(*words)
        assert told.exit_code == 2
        assert why in " ".join(told.stderr.split())
