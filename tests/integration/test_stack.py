"""The embedded stack as its user meets it: started, broken, repaired, stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import psycopg2
import pytest

from services.local import Stack, StackError
from services.local.environment import database_url

STORES = {"postgres", "gateway"}


def query(stack: Stack, statement: str) -> None:
    url = database_url(stack.state(), "loganalyzer").replace("+psycopg2", "")
    conn = psycopg2.connect(url)
    with conn, conn.cursor() as cursor:
        cursor.execute(statement)
    conn.close()


def test_up_twice_leaves_what_runs_alone(own_stack: Stack) -> None:
    first = own_stack.up(only=STORES).processes
    second = own_stack.up(only=STORES).processes
    assert first == second
    assert set(first) == STORES


def test_up_repairs_what_was_killed_and_keeps_the_data(own_stack: Stack) -> None:
    before = own_stack.up(only=STORES)
    query(own_stack, "CREATE TABLE kept (n int)")
    os.kill(before.processes["postgres"].pid, signal.SIGKILL)
    after = own_stack.up(only=STORES)
    assert after.processes["postgres"] != before.processes["postgres"]
    assert after.processes["gateway"] == before.processes["gateway"]
    query(own_stack, "SELECT n FROM kept")


def test_down_leaves_no_process_and_up_finds_the_data_again(own_stack: Stack) -> None:
    state = own_stack.up(only=STORES)
    query(own_stack, "CREATE TABLE kept (n int)")
    assert set(own_stack.down()) == STORES
    assert not any(psutil.pid_exists(record.pid) for record in state.processes.values())
    own_stack.up(only=STORES)
    query(own_stack, "SELECT n FROM kept")


def test_down_does_not_stop_a_process_that_took_over_a_number(own_stack: Stack) -> None:
    own_stack.up(only={"gateway"})
    state = own_stack.state()
    record = state.processes["gateway"]
    stranger = psutil.Popen(["sleep", "60"])
    state.processes["postgres"] = type(record)(stranger.pid, record.started_at)
    state.save()
    own_stack.down()
    assert stranger.is_running()
    stranger.kill()
    stranger.wait()


def test_a_component_that_cannot_start_names_its_log(own_stack: Stack) -> None:
    own_stack.up(only={"postgres"})
    own_stack.down()
    (own_stack.folder / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(StackError, match=r"postgres ended[\s\S]*postgres\.log"):
        own_stack.up(only={"postgres"})


def test_two_stacks_stand_side_by_side(own_stack: Stack, stack: Stack) -> None:
    mine, theirs = own_stack.up(only={"postgres"}), stack.state()
    assert mine.ports["postgres"] != theirs.ports["postgres"]
    assert mine.secrets["postgres_password"] != theirs.secrets["postgres_password"]
    query(own_stack, "SELECT 1")
    query(stack, "SELECT 1")


def test_secrets_are_for_their_owner_only(own_stack: Stack) -> None:
    own_stack.up(only={"gateway"})
    assert own_stack.state().path.stat().st_mode & 0o077 == 0


def test_talking_to_a_stopped_stack_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make up"):
        Stack(tmp_path).environment()
