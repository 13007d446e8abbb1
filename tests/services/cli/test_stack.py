"""The commands about the embedded stack, as a shell meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT
from services.cli.common import Exit
from services.local import Stack

COMMANDS = ("up", "down", "status", "clean", "env")


def loganalyzer(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from services.cli import app; app(prog_name='loganalyzer')"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LOGANALYZER_")}
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=PROJECT_ROOT,
        env={**environment, "LOGANALYZER_STACK_DIR": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_status_of_no_stack_says_so_and_makes_none(tmp_path: Path) -> None:
    done = loganalyzer("status", "--json", folder=tmp_path / "stack")
    assert done.returncode == Exit.NOT_RUNNING
    assert not any(row["running"] for row in json.loads(done.stdout).values())
    assert not (tmp_path / "stack").exists()


def test_env_of_no_stack_says_how_to_start_it(tmp_path: Path) -> None:
    done = loganalyzer("env", folder=tmp_path)
    assert done.returncode == Exit.NOT_RUNNING
    assert "make up" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["down", "clean"])
def test_there_is_nothing_to_end(command: str, tmp_path: Path) -> None:
    done = loganalyzer(command, folder=tmp_path / "stack")
    assert done.returncode == Exit.OK
    assert not (tmp_path / "stack").exists()


def test_clean_leaves_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    loganalyzer("clean", folder=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "ten years"


def test_env_is_what_a_shell_can_take_in(stack: Stack) -> None:
    exports = loganalyzer("env", folder=stack.folder).stdout
    told = subprocess.run(
        ["bash", "-c", f"{exports}\necho $LOGANALYZER_S3_ENDPOINT"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.strip() == stack.environment()["LOGANALYZER_S3_ENDPOINT"]


def test_wrong_usage_has_its_own_exit_code(tmp_path: Path) -> None:
    assert loganalyzer("status", "--nonsense", folder=tmp_path).returncode == Exit.USAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str, tmp_path: Path) -> None:
    assert "Example: " in loganalyzer(command, "--help", folder=tmp_path).stdout


def test_importing_the_commands_brings_in_nothing_heavy() -> None:
    program = "import sys, services.cli; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"airflow", "httpx", "mlflow", "pandas", "polars", "psycopg2", "sqlalchemy", "torch"}
    assert heavy.isdisjoint(modules)
