"""The commands `loganalyzer templates`, as people call them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from include.workspace import Workspace, open_workspace
from services.cli import app

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOON = "2026-03-02T12:00"
SOURCE = """
name: {name}
format: python
windowing: {{kind: time, size: 5m, step: 5m}}
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["templates", *words])


def line(moment: datetime, message: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S},000 app.web - INFO - {message}\n"


@pytest.fixture
def source(
    workspace: Workspace, ingest: Callable[[Workspace, str], int], request: pytest.FixtureRequest
) -> Iterator[str]:
    """A day of hourly objects: after noon one message is gone, one is new, one comes often."""
    name = "cli_" + request.node.name.removeprefix("test_").split("[")[0][:40]
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(SOURCE.format(name=name))
    open_workspace.cache_clear()
    space = open_workspace()
    for hour in range(24):
        moment = START + hour * HOUR
        late = hour >= 12
        text = "".join(
            line(moment + n * HOUR / 100, f"served page {n} in {n} ms") for n in range(90)
        )
        often = 50 if late else 5
        text += "".join(line(moment + HOUR * 0.9, f"retry {n} of upload") for n in range(often))
        text += line(moment + HOUR * 0.95, "new \x1b[31mcache" if late else "old cache flushed")
        key = f"{name}/{hour:02}.log"
        space.store.put_bytes(space.settings.bucket_logs, key, text.encode())
    ingest(space, name)
    yield name
    open_workspace.cache_clear()


def test_the_list_says_how_often_since_when_and_where(source: str) -> None:
    told = run("list", "--source", source, "--json")
    assert told.exit_code == 0, told.output
    rows = {row["text"]: row for row in json.loads(told.stdout)}
    served = rows["served page <*> in <*> ms"]
    assert served["count"] == 24 * 90
    assert served["per_day"] == 24 * 90
    assert served["first_seen_utc"] == "2026-03-02 00:00:00+00:00"
    assert served["example"] == "served page 0 in 0 ms"
    assert served["example_object_key"] == f"{source}/00.log"
    assert served["example_line_number"] == 1


def test_no_verb_lists_and_prints_no_control_characters(source: str) -> None:
    told = run("--source", source)
    assert told.exit_code == 0, told.output
    assert "retry <*> of" in told.stdout
    assert "\x1b" not in told.stdout


def test_only_new_ones_are_listed_when_asked(source: str) -> None:
    told = run("list", "--source", source, "--new-since", NOON, "--json")
    assert [row["count"] for row in json.loads(told.stdout)] == [12]


def test_diff_tells_new_gone_and_changed(source: str) -> None:
    told = run("diff", "--before", NOON, "--source", source, "--json")
    assert told.exit_code == 0, told.output
    kinds = {row["text"]: row["kind"] for row in json.loads(told.stdout)}
    assert kinds.pop("old cache flushed") == "gone"
    assert kinds.pop("retry <*> of upload") == "more"
    assert list(kinds.values()) == ["new"]
    assert "gone" in run("diff", "--before", NOON, "--source", source).stdout


def test_diff_needs_events_on_both_sides(source: str) -> None:
    told = run("diff", "--before", "2020-01-01", "--source", source)
    assert told.exit_code == 2
    assert "no events on both sides of 2020-01-01" in told.stderr


@pytest.mark.usefixtures("workspace")
def test_an_unknown_source_is_wrong_usage() -> None:
    told = run("list", "--source", "nowhere")
    assert told.exit_code == 2
    assert "no log source 'nowhere'" in told.stderr


def test_options_before_the_verb_are_refused() -> None:
    assert run("--source", "a", "list").exit_code == 2


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_is_tried_without_a_stack(tmp_path: Path, compressed: bool) -> None:
    text = "".join(line(START + n * HOUR, f"served page {n} in {n} ms") for n in range(50))
    data = (text + line(START + 50 * HOUR, "bye")).encode()
    file = tmp_path / "app.log"
    file.write_bytes(gzip.compress(data) if compressed else data)
    told = run("try", str(file), "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["format"], found["messages"], found["quarantined"]) == ("python", 51, 0)
    assert [(row["text"], row["count"]) for row in found["templates"]] == [
        ("served page <*> in <*> ms", 50),
        ("bye", 1),
    ]
    assert "served page <*>" in run("try", str(file)).stdout


def test_whole_lines_are_messages_where_no_format_fits(tmp_path: Path) -> None:
    file = tmp_path / "odd.txt"
    file.write_text("".join(f"gadget {n} ready\n\n" for n in range(9)))
    told = run("try", str(file), "--json")
    assert told.exit_code == 0, told.output
    assert "no known format fits" in told.stderr
    found = json.loads(told.stdout)
    assert found["format"] == "whole lines"
    assert [(row["text"], row["count"]) for row in found["templates"]] == [("gadget <*> ready", 9)]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "app.log.gz"
    file.write_bytes(gzip.compress(b"2026-03-02 10:00:00,000 a INFO hello\n" * 99)[:60])
    told = run("try", str(file))
    assert told.exit_code == 2
    assert "damaged gzip" in " ".join(told.stderr.split())


def test_an_empty_file_has_no_templates(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    told = run("try", str(tmp_path / "empty.log"), "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["templates"] == []
