"""The commands `loganalyzer users`, as people call them."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from include.database import accounts
from include.database.audit import NOBODY, Actor
from include.workspace import Workspace
from services.cli import app

pytestmark = pytest.mark.usefixtures("workspace", "quick_hashes")
PASSWORD = "correct horse battery"  # noqa: S105  of a test


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["users", *words], input=typed)


def can_log_in(space: Workspace, name: str, password: str) -> bool:
    who = Actor(NOBODY, "cli")
    return accounts.log_in(space.engine, name, password, who) is not None


def test_a_user_is_made_listed_and_given_another_password(workspace: Workspace) -> None:
    name = f"u{uuid4().hex[:12]}"
    made = run("create", name.upper(), "--role", "analyst", typed=f"{PASSWORD}\n")
    assert (made.exit_code, made.stdout) == (0, f"{name} may log in, as analyst\n"), made.output
    assert can_log_in(workspace, name, PASSWORD)
    listed = {each["name"]: each for each in json.loads(run("list", "--json").stdout)}
    assert listed[name]["role"] == "analyst"
    assert name in run("list").stdout
    changed = run("password", name, "--generate")
    assert changed.exit_code == 0, changed.output
    assert not can_log_in(workspace, name, PASSWORD)
    assert can_log_in(workspace, name, changed.stdout.splitlines()[-1])
    query = (
        "SELECT action, origin FROM loganalyzer.audit_log WHERE subject = :name "
        "AND action LIKE 'user.%' ORDER BY audit_id"
    )
    with workspace.engine.connect() as conn:
        told = conn.execute(sa.text(query), {"name": name}).tuples().all()
    assert told == [("user.create", "cli"), ("user.update", "cli")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["create", "a b"], "a name has"),
        (["create", "ada-the-short"], "12 to 200"),
        (["password", "who-is-not-there"], "no user 'who-is-not-there'"),
    ],
)
def test_what_is_wrong_is_told(words: list[str], says: str) -> None:
    told = run(*words, typed="short\n")
    assert told.exit_code == 2
    assert says in told.stderr
