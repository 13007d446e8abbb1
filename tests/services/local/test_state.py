"""What is remembered between two calls."""

from __future__ import annotations

import socket
from pathlib import Path

from services.local.state import PORTS, ProcessRecord, State


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = State.load(tmp_path)
    state.choose_ports(in_use=[])
    state.processes["gateway"] = ProcessRecord(7, 1.5)
    state.save()
    assert State.load(tmp_path) == state


def test_it_is_for_its_owner_only(tmp_path: Path) -> None:
    state = State.load(tmp_path)
    state.save()
    assert state.path.stat().st_mode & 0o077 == 0


def test_each_stack_has_passwords_of_its_own(tmp_path: Path) -> None:
    first, second = State.load(tmp_path / "a").secrets, State.load(tmp_path / "b").secrets
    assert len({*first.values(), *second.values()}) == len(first) + len(second)


def test_ports_are_kept_while_they_are_free_and_replaced_when_taken(tmp_path: Path) -> None:
    state = State.load(tmp_path)
    state.choose_ports(in_use=[])
    first = dict(state.ports)
    assert len(set(first.values())) == len(PORTS)
    state.choose_ports(in_use=[])
    assert state.ports == first
    with socket.create_server(("127.0.0.1", first["mlflow"])):
        state.choose_ports(in_use=["airflow"])
    assert state.ports["mlflow"] != first["mlflow"]
    assert {**state.ports, "mlflow": 0} == {**first, "mlflow": 0}
