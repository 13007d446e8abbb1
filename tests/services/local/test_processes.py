"""Processes are recognised, and end with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.local import StackError, processes
from services.local.state import ProcessRecord

PARENT = ["bash", "-c", "sleep 300 & echo $! >child; wait"]


@pytest.fixture
def parent(tmp_path: Path) -> ProcessRecord:
    record = processes.start(PARENT, dict(os.environ), tmp_path / "logs" / "parent.log", None)
    path = tmp_path / "logs" / "child"
    while not path.exists() or not path.read_text().strip():
        assert processes.find(record), "the parent has ended"
    return record


def child_of(tmp_path: Path) -> psutil.Process:
    return psutil.Process(int((tmp_path / "logs" / "child").read_text()))


def kill(record: ProcessRecord) -> None:
    os.kill(record.pid, signal.SIGKILL)
    psutil.Process(record.pid).wait(10)


def test_stop_ends_the_children_too(parent: ProcessRecord, tmp_path: Path) -> None:
    child = child_of(tmp_path)
    processes.stop(parent, tmp_path)
    assert processes.find(parent) is None
    assert not processes.is_alive(child)


def test_stop_ends_what_a_killed_process_left(parent: ProcessRecord, tmp_path: Path) -> None:
    child = child_of(tmp_path)
    kill(parent)
    assert processes.is_alive(child)
    processes.stop(parent, tmp_path)
    assert not processes.is_alive(child)


def test_programs_are_ended_in_their_folder_only(parent: ProcessRecord, tmp_path: Path) -> None:
    child = child_of(tmp_path)
    processes.end_programs({"sleep"}, tmp_path / "another stack")
    assert processes.is_alive(child)
    processes.end_programs({"sleep"}, tmp_path)
    assert not processes.is_alive(child)


def test_what_runs_elsewhere_is_not_of_the_family(parent: ProcessRecord, tmp_path: Path) -> None:
    child = child_of(tmp_path)
    kill(parent)
    assert processes.family(parent, tmp_path / "another stack") == []
    child.kill()


def test_a_number_taken_over_is_not_ours(parent: ProcessRecord, tmp_path: Path) -> None:
    ours_was_earlier = replace(parent, started_at=parent.started_at - 60)
    assert processes.find(ours_was_earlier) is None
    processes.stop(ours_was_earlier, tmp_path)
    assert processes.find(parent)
    processes.stop(parent, tmp_path)


def test_a_stubborn_process_is_ended_hard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.5)
    monkeypatch.setattr(processes, "ORPHANS_GRACE_S", 0.5)
    command = ["bash", "-c", "trap '' TERM; touch deaf; while true; do sleep 1; done"]
    record = processes.start(command, dict(os.environ), tmp_path / "stubborn.log", None)
    while not (tmp_path / "deaf").exists():
        assert processes.find(record)
    processes.stop(record, tmp_path)
    assert processes.find(record) is None


def test_a_failed_command_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "fail.log"
    command = ["bash", "-c", "echo no disk left; exit 4"]
    with (
        pytest.raises(StackError, match=r"status 4[\s\S]*fail\.log[\s\S]*no disk left"),
        processes.running(command, dict(os.environ), log),
    ):
        pass


def test_a_command_ends_with_the_body_that_fails(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        processes.running(["sleep", "300"], dict(os.environ), tmp_path / "sleep.log"),
    ):
        raise KeyboardInterrupt
    in_folder = subprocess.run(
        ["bash", "-c", "readlink /proc/[0-9]*/cwd || true"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(tmp_path) not in in_folder
