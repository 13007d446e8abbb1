"""Every command and query of the README, run in its order on a stack of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, create_engine

from include.settings import PROJECT_ROOT
from services.local import Stack
from services.local.environment import FIRST_USER, address, database_url
from services.local.state import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

README = (PROJECT_ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
CALLS = [text for language, text in BLOCKS if language == "sh"]
QUERIES = [text for language, text in BLOCKS if language == "sql"]
LINES = [line.split("#")[0].strip() for language, text in BLOCKS if not language
         for line in text.splitlines()]  # fmt: skip
# `make test` is what runs this; `down` comes at the end.
COMMANDS = [line for line in dict.fromkeys(LINES) if line and line != "make test"]
DEMO, DOWN = "make demo", "loganalyzer down"
# What speaks of an anomaly or a feedback that only the README knows: a clear word, and code 2.
EXAMPLES = ("loganalyzer feedback give", "loganalyzer feedback withdraw", "loganalyzer similar")
# The README's story has but one champion.
ROLLBACK = "loganalyzer rollback --source storage"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A shell where the README's commands work, with the files that it names."""
    # Not in pytest's folder, which other users may not enter.
    folder = Path("/tmp") / f"loganalyzer-readme-{os.getpid()}"  # noqa: S108  our own name
    yield {
        **{key: value for key, value in os.environ.items() if not key.startswith("LOGANALYZER")},
        "LOGANALYZER_STACK_DIR": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    Stack(folder).clean()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder, with the two files that the README names."""
    here = tmp_path_factory.mktemp("readme")
    start = datetime.now(UTC) - timedelta(days=2)
    moments = [start + timedelta(seconds=30 * n) for n in range(4000)]
    app_log = "".join(
        f"{moment:%Y-%m-%d %H:%M:%S},000 app.web INFO served page {n} in {n % 90} ms\n"
        for n, moment in enumerate(moments)
    )
    (here / "app.log").write_text(app_log)
    (here / "labels.csv").write_text("session_key,label\n0a0b0c0d,anomalous\n")
    return here


def run(line: str, environment: dict[str, str], folder: Path, code: int = 0) -> str:
    line = line.replace("path/to/files", str(folder / "app.log"))
    if line.startswith("make "):
        line = f"make -C {PROJECT_ROOT} {line.removeprefix('make ')}"
    answer = subprocess.run(  # noqa: S602  the README's own lines
        line,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == code, f"{line}\n{answer.stdout}\n{answer.stderr}"
    return answer.stdout + answer.stderr


def test_every_command_and_query_of_the_readme_works(
    environment: dict[str, str], folder: Path
) -> None:
    assert "5 of 5 injected incidents found" in run(DEMO, environment, folder)
    state = Stack(Path(environment["LOGANALYZER_STACK_DIR"])).state()
    engine = create_engine(database_url(state, "loganalyzer"))
    assert [has_rows(engine, query) for query in QUERIES] == [True] * 5
    engine.dispose()
    calls = "".join(run(text, environment | caller(state), folder) for text in CALLS)
    assert '"state":"open"' in calls
    assert '"lines":4000' in calls
    others = [line for line in COMMANDS if line not in {DEMO, ROLLBACK, DOWN}]
    told = {
        line: run(line, environment, folder, code=2 if line.startswith(EXAMPLES) else 0)
        for line in others
    }
    assert all("no " in told[line] for line in others if line.startswith(EXAMPLES))
    assert "anomalies since" in told["make demo LOGS=path/to/files"]
    assert "no previous champion" in run(ROLLBACK, environment, folder, code=1)
    assert "stopped: " in run(DOWN, environment, folder)


def caller(state: State) -> dict[str, str]:
    """What the README's calls of the API name."""
    api = address(state, "api")
    login = {"name": FIRST_USER, "password": state.secrets["admin_password"]}
    answer = httpx.post(f"{api}/v1/session", json=login).raise_for_status()
    return {"API": api, "TOKEN": answer.json()["secret"]}


def has_rows(engine: Engine, query: str) -> bool:
    with engine.connect() as conn:
        return bool(conn.exec_driver_sql(query.strip().rstrip(";")).fetchall())
