"""The embedded stack as its user meets it: started, broken, repaired, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg2
import pytest

from include.settings import PROJECT_ROOT
from services.local import Stack, StackError
from services.local.environment import database_url

STORES = {"postgres", "gateway"}


def query(stack: Stack, statement: str) -> None:
    url = database_url(stack.state(), "loganalyzer").replace("+psycopg2", "")
    conn = psycopg2.connect(url)
    with conn, conn.cursor() as cursor:
        cursor.execute(statement)
    conn.close()


def kill(stack: Stack, *names: str) -> None:
    records = [stack.state().processes[name] for name in names]
    for record in records:
        os.kill(record.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(r.pid) for r in records if psutil.pid_exists(r.pid)], 10)


def processes_in(stack: Stack) -> dict[int, str]:
    """Whatever runs in the folder of a stack, recorded or not."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if Path(process.cwd()).is_relative_to(stack.folder):
                found[process.pid] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return found


def test_up_twice_leaves_what_runs_alone(own_stack: Stack) -> None:
    first = own_stack.up(only=STORES).processes
    second = own_stack.up(only=STORES).processes
    assert first == second
    assert set(first) == STORES


def test_up_repairs_what_was_killed_and_keeps_the_data(own_stack: Stack) -> None:
    before = own_stack.up(only=STORES)
    query(own_stack, "CREATE TABLE kept (n int)")
    kill(own_stack, "postgres")
    after = own_stack.up(only=STORES)
    assert after.processes["postgres"] != before.processes["postgres"]
    assert after.processes["gateway"] == before.processes["gateway"]
    query(own_stack, "SELECT n FROM kept")


def test_down_leaves_no_process_and_up_finds_the_data_again(own_stack: Stack) -> None:
    state = own_stack.up(only=STORES)
    query(own_stack, "CREATE TABLE kept (n int)")
    assert set(own_stack.down()) == STORES
    assert not any(psutil.pid_exists(record.pid) for record in state.processes.values())
    assert processes_in(own_stack) == {}
    own_stack.up(only=STORES)
    query(own_stack, "SELECT n FROM kept")


def test_a_killed_server_whose_backend_is_busy_is_repaired(own_stack: Stack) -> None:
    url = database_url(own_stack.up(only={"postgres"}), "loganalyzer").replace("+psycopg2", "")
    endless = "import psycopg2, sys; psycopg2.connect(sys.argv[1]).cursor().execute(sys.argv[2])"
    busy = "SELECT count(*) FROM generate_series(1, 100000000000)"
    with subprocess.Popen(
        [sys.executable, "-c", endless, url, busy], stderr=subprocess.DEVNULL
    ) as client:
        wait_for_query(own_stack, "generate_series")
        kill(own_stack, "postgres")
        own_stack.up(only={"postgres"})
        query(own_stack, "SELECT 1")
        assert client.wait(10) != 0


def wait_for_query(stack: Stack, words: str) -> None:
    conn = psycopg2.connect(database_url(stack.state(), "loganalyzer").replace("+psycopg2", ""))
    conn.autocommit = True
    deadline = time.monotonic() + 30
    with conn.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"
                " AND pid <> pg_backend_pid()",
                [f"%{words}%"],
            )
            if cursor.fetchone():
                conn.close()
                return
            time.sleep(0.1)
    raise AssertionError(f"no query with {words} came up")


def test_down_does_not_wait_for_clients_and_ends_postgres_in_order(own_stack: Stack) -> None:
    state = own_stack.up(only={"postgres"})
    client = psycopg2.connect(database_url(state, "loganalyzer").replace("+psycopg2", ""))
    own_stack.down()
    client.close()
    told = (own_stack.folder / "logs" / "postgres.log").read_text()
    assert told.rstrip().endswith("database system is shut down")


def test_what_a_killed_server_leaves_behind_is_ended_and_its_port_kept(own_stack: Stack) -> None:
    chosen = {*STORES, "mlflow"}
    before = own_stack.up(only=chosen)
    parent = psutil.Process(before.processes["mlflow"].pid)
    children = parent.children(recursive=True)
    assert children
    kill(own_stack, "mlflow")
    after = own_stack.up(only=chosen)
    assert not any(child.is_running() for child in children)
    assert after.ports == before.ports
    kill(own_stack, "mlflow")
    own_stack.down()
    assert processes_in(own_stack) == {}


def test_up_of_a_part_leaves_the_addresses_of_the_rest(own_stack: Stack) -> None:
    ports = dict(own_stack.up(only=STORES).ports)
    assert own_stack.up(only={"gateway"}).ports == ports


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.5])
def test_an_interrupted_first_up_is_gone_on_with(own_stack: Stack, seconds: float) -> None:
    program = (
        "import sys; from pathlib import Path; from services.local import Stack; print(flush=True);"
        "Stack(Path(sys.argv[1])).up(only={'postgres', 'gateway'})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(own_stack.folder)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        time.sleep(seconds)
        first.kill()
    own_stack.up(only=STORES)
    query(own_stack, "SELECT 1")


@pytest.mark.slow
def test_airflow_is_repaired_and_leaves_nothing(own_stack: Stack) -> None:
    before = own_stack.up()
    kill(own_stack, "airflow-scheduler", "airflow-triggerer")
    after = own_stack.up()
    assert after.ports == before.ports
    assert after.processes["airflow-api-server"] == before.processes["airflow-api-server"]
    found = processes_in(own_stack)
    schedulers = [pid for pid, line in found.items() if "scheduler" in line]
    # It forks workers, which look like it until they have a name of their own.
    assert len([pid for pid in schedulers if psutil.Process(pid).ppid() not in found]) == 1
    assert all(row["healthy"] for row in own_stack.status().values())
    assert own_stack.up().processes == after.processes
    kill(own_stack, "airflow-scheduler")
    own_stack.down()
    assert processes_in(own_stack) == {}


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


def test_clean_removes_a_stack(own_stack: Stack) -> None:
    own_stack.up(only={"gateway"})
    own_stack.clean()
    assert not own_stack.folder.exists()
    assert own_stack.down() == []


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    with pytest.raises(StackError, match="holds no stack"):
        Stack(tmp_path).clean()
    with pytest.raises(StackError, match=r"not empty \(thesis.txt\)"):
        Stack(tmp_path).up(only={"gateway"})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
