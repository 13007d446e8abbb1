"""The README of the experiments, typed as it stands, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT
from services.local import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

README = (PROJECT_ROOT / "experiments" / "README.md").read_text()
(COMMANDS,) = re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


class Shell:
    """A shell in the folder `experiments` of a copy of the project that git knows."""

    def __init__(self, copy: Path, stack: Stack) -> None:
        self.copy = copy
        self.folder = copy / "experiments"
        own = {name: value for name, value in os.environ.items() if "LOGANALYZER" not in name}
        self.environment = {
            **own,
            "LOGANALYZER_STACK_DIR": str(stack.folder),
            # The code of the copy, not that of the environment.
            "PYTHONPATH": str(copy),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **{
                f"DVC_{kind}_DIR": str(copy.parent / kind)
                for kind in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")
            },
        }

    def run(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def set(self, name: str, value: str) -> None:
        """Change a line of params.yaml."""
        path = self.folder / "params.yaml"
        text, count = re.subn(rf"^{name}: .*", f"{name}: {value}", path.read_text(), flags=re.M)
        assert count == 1
        path.write_text(text)


@pytest.fixture
def shell(tmp_path: Path, stack: Stack) -> Shell:
    copy = tmp_path / "project"
    known = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(known, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (PROJECT_ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_ROOT / name, copy / name)
    made = Shell(copy, stack)
    made.run(
        "git init -q .. && git config user.name a && git config user.email a@example.org"
        " && git add .. && git commit -q -m first"
    )
    (copy / ".venv").symlink_to(sys.prefix)
    return made


def test_the_readme_is_ten_lines_that_work(shell: Shell) -> None:
    assert len([line for line in README.splitlines() if not line.startswith("```")]) <= 10
    told = shell.run(COMMANDS)
    assert re.search(r"params.yaml +trials +\S+ +1", shell.run("dvc params diff HEAD few"))
    assert re.search(r"isolation_forest.objective +[0-9.]+ +[0-9.]+ +-?[0-9.]+", told)

    # Nothing is done twice, and what depends on a parameter is.
    assert "up to date" in shell.run("dvc repro")
    shell.run("git add . && git commit -qm second")
    shell.set("labels", "null")
    assert "Running stage 'windows'" in shell.run("dvc repro")
    assert re.search(
        r"metrics.json +figure +average precision +recall at the budget",
        shell.run("dvc metrics diff"),
    )
    shell.run("dvc push")

    # All of it comes back from the gateway alone; what is secret is not for git.
    before = {path: path.read_bytes() for path in files_of(shell.folder)}
    for gone in (shell.copy / ".dvc" / "cache", shell.folder / "data", shell.folder / "windows"):
        shutil.rmtree(gone)
    shell.run("dvc pull")
    assert {path: path.read_bytes() for path in files_of(shell.folder)} == before
    assert "up to date" in shell.run("dvc status")
    assert "secret_access_key" not in shell.run("git grep -h '' -- ../.dvc")
    assert "config.local" not in shell.run("git status --short ..")


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
