"""Processes of ours: started apart from the terminal, recognised later, stopped for sure."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from services.local.state import ProcessRecord

GRACE_S = 15
ORPHANS_GRACE_S = 3
TAIL_LINES = 15


class StackError(RuntimeError):
    """A part of the stack does not work; the message names its log file and what it said."""


def start(
    command: Sequence[str], environment: dict[str, str], log: Path, user: str | None
) -> ProcessRecord:
    """Start a process in a session of its own, so that a Ctrl-C here does not reach it."""
    return _record(_spawn(command, environment, log, user))


@contextmanager
def running(
    command: Sequence[str], environment: dict[str, str], log: Path, user: str | None = None
) -> Iterator[None]:
    """Run a command to its end, beside the body of the `with`, and stop it where that fails.

    Raises StackError with the tail of its log.
    """
    child = _spawn(command, environment, log, user)
    try:
        yield
        status = child.wait()
    except BaseException:
        if child.poll() is None:
            stop(_record(child), log.parent)
        raise
    if status:
        raise StackError(f"{Path(command[0]).name} ended with status {status}\n{tail(log)}")


def _spawn(
    command: Sequence[str], environment: dict[str, str], log: Path, user: str | None
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  commands of our own
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            cwd=log.parent,
        )


def _record(child: subprocess.Popen[bytes]) -> ProcessRecord:
    return ProcessRecord(child.pid, started_at(child.pid))


def started_at(pid: int) -> float:
    """When a process began: in ticks since the machine did, where the system tells them, since
    the clock may be set while it runs. Raises psutil.NoSuchProcess."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return psutil.Process(pid).create_time()
    return float(fields[19])


def find(record: ProcessRecord | None) -> psutil.Process | None:
    """The running process of a record, None if it has ended or its number was taken over."""
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        is_ours = started_at(record.pid) == record.started_at
        return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def family(record: ProcessRecord, folder: Path) -> list[psutil.Process]:
    """The process of a record and what descends from it, also what it left behind when it ended.

    folder: where it was started. What is left behind is known by the session and the folder, as
    the session may be that of a stranger who has ended as well.
    """
    with suppress(psutil.NoSuchProcess):
        if started_at(record.pid) != record.started_at:
            return []  # a number is given away again only once its session is empty
    process = find(record)
    members = {process, *_children(process)} if process else set[psutil.Process]()
    for other in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            in_session = os.getsid(other.pid) == record.pid
            if in_session and (process or Path(other.cwd()).is_relative_to(folder)):
                members |= {other, *_children(other)}
    return list(members)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def stop(record: ProcessRecord, folder: Path, how: signal.Signals = signal.SIGTERM) -> None:
    """Ask a process to end and give it fifteen seconds; then end what is left of its family.

    folder: where it was started. how: the signal that it takes as the request.
    """
    members = family(record, folder)
    leader = find(record)
    if leader:
        with suppress(psutil.NoSuchProcess):
            leader.send_signal(how)
        psutil.wait_procs([leader], timeout=GRACE_S)
    _end(members, signal.SIGTERM, ORPHANS_GRACE_S)
    alive = _end([*members, *family(record, folder)], signal.SIGKILL, GRACE_S)
    if alive:
        raise StackError(f"process {alive[0].pid} does not end: look at it with ps")


def end_programs(names: Collection[str], folder: Path) -> None:
    """End the programs of these names that run in a folder, whoever started them."""
    while found := [each for each in psutil.process_iter() if _works_in(each, names, folder)]:
        _end(found, signal.SIGKILL, GRACE_S)


def _works_in(process: psutil.Process, names: Collection[str], folder: Path) -> bool:
    with suppress(psutil.Error):
        return (
            process.name() in names
            and is_alive(process)
            and Path(process.cwd()).is_relative_to(folder)
        )
    return False


def _end(
    members: Sequence[psutil.Process], how: signal.Signals, grace_s: float
) -> list[psutil.Process]:
    """Send a signal to those that still run, and return those that outlive the grace."""
    left = [member for member in set(members) if is_alive(member)]
    for member in left:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(how)
    _, alive = psutil.wait_procs(left, timeout=grace_s)
    return [member for member in alive if is_alive(member)]


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and that nobody has asked about yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    shown = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])
    return f"its log, {log}, ends with:\n{shown or '  (nothing)'}"


def is_root() -> bool:
    return os.geteuid() == 0
