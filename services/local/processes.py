"""Processes of ours: started apart from the terminal, recognised later, stopped for sure."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from services.local.state import ProcessRecord

GRACE_S = 15
TAIL_LINES = 15


class StackError(RuntimeError):
    """A part of the stack does not work; the message names its log file and what it said."""


def start(
    command: Sequence[str], environment: dict[str, str], log: Path, user: str | None
) -> ProcessRecord:
    """Start a process in a session of its own, so that a Ctrl-C here does not reach it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603  commands of our own
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            cwd=log.parent,
        )
    return ProcessRecord(child.pid, psutil.Process(child.pid).create_time())


def find(record: ProcessRecord | None) -> psutil.Process | None:
    """The running process of a record, None if it has ended or its number was taken over."""
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        is_ours = process.create_time() == record.started_at
        return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def stop(record: ProcessRecord) -> None:
    """Ask a process and its children to end, and end them after a grace of fifteen seconds."""
    process = find(record)
    if process is None:
        return
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return  # it ended by itself in this very moment
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for each in alive:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    _, alive = psutil.wait_procs(alive, timeout=GRACE_S)
    if alive:
        raise StackError(f"process {alive[0].pid} does not end: look at it with ps")


def run(command: Sequence[str], environment: dict[str, str], log: Path, user: str | None) -> None:
    """Run a command to its end. Raises StackError with the tail of its log."""
    record = start(command, environment, log, user)
    try:
        status = psutil.Process(record.pid).wait()
    except psutil.NoSuchProcess:
        status = 0
    except KeyboardInterrupt:
        stop(record)
        raise
    if status:
        raise StackError(f"{Path(command[0]).name} ended with status {status}\n{tail(log)}")


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    shown = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])
    return f"its log, {log}, ends with:\n{shown or '  (nothing)'}"


def wait_until(check, record: ProcessRecord, name: str, log: Path, seconds: float) -> None:  # type: ignore[no-untyped-def]
    """Wait for a check to hold. Raises StackError when the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while True:
        if check():
            return
        if find(record) is None:
            raise StackError(f"{name} ended while it was starting\n{tail(log)}")
        if time.monotonic() > deadline:
            raise StackError(f"{name} is not healthy after {seconds:.0f} s\n{tail(log)}")
        time.sleep(0.2)


def is_root() -> bool:
    return os.geteuid() == 0
