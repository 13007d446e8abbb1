"""What the stack remembers: its ports, its passwords and the processes it started."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

PORTS = (
    "postgres",
    "gateway",
    "gateway_metrics",
    "mlflow",
    "airflow",
    "scheduler_health",
    "api",
    "dashboard",
)
SECRETS = (
    "postgres_password",
    "airflow_db_password",
    "mlflow_db_password",
    "loganalyzer_db_password",
    "s3_secret_key",
    "airflow_password",
    "airflow_jwt_secret",
    "airflow_secret_key",
    "admin_password",
)


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that we started; the start time tells it from a later one of the same number."""

    pid: int
    started_at: float


@dataclass(slots=True)
class State:
    """Kept in `state.json`, readable by its owner only."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    migrated: str = ""

    @property
    def path(self) -> Path:
        return self.folder / "state.json"

    @classmethod
    def load(cls, folder: Path) -> State:
        """What was remembered, or a new state."""
        state = cls(folder)
        if state.path.exists():
            document = json.loads(state.path.read_text())
            state.ports = document["ports"]
            state.secrets = document["secrets"]
            state.migrated = document["migrated"]
            state.processes = {
                name: ProcessRecord(**record) for name, record in document["processes"].items()
            }
        for name in SECRETS:
            state.secrets.setdefault(name, secrets.token_hex(16))
        return state

    def save(self) -> None:
        document = asdict(self)
        del document["folder"]
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(document, indent=1))
        fresh.replace(self.path)

    def choose_ports(self, in_use: Iterable[str]) -> None:
        """Keep each port that is free or belongs to a running component; replace the others."""
        keep = set(in_use)
        with ExitStack() as held:
            for name in PORTS:
                if name in keep and name in self.ports:
                    continue
                probe = held.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self.ports.get(name, 0)))
                except OSError:
                    probe.bind(("127.0.0.1", 0))
                self.ports[name] = probe.getsockname()[1]
