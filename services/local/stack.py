"""The stack as a whole: up, down, status, clean."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from services.local import components, processes
from services.local.components import BIN, Component
from services.local.environment import database_url, loganalyzer_environment, stack_environment
from services.local.processes import StackError
from services.local.state import State

# What starts side by side, wave after wave.
WAVES: tuple[tuple[type[Component], ...], ...] = (
    (components.Postgres, components.Gateway),
    (
        components.MLflow,
        components.AirflowApi,
        components.AirflowScheduler,
        components.AirflowDagProcessor,
        components.AirflowTriggerer,
    ),
)
STORES = ("postgres", "gateway")
Report = Callable[[str, float], None]


def silent(component: str, seconds: float) -> None:
    """A report for those who want none."""


class Stack:
    """The embedded stack in one folder. Calls of several processes take turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def up(self, only: Collection[str] | None = None, report: Report = silent) -> State:
        """Start what does not run yet, and wait until it is healthy.

        only: names of components, all of them if None. report: called for each component with
        the seconds it took. Raises StackError.
        """
        with self._alone() as state:
            chosen = [
                [kind(state) for kind in wave if only is None or kind.name in only]
                for wave in WAVES
            ]
            running = {c.name for wave in chosen for c in wave if self._runs(state, c.name)}
            state.choose_ports(in_use=_ports_of(running))
            state.save()
            with ThreadPoolExecutor() as pool:
                for wave in chosen:
                    self._start_wave(state, wave, pool, report)
                    if any(component.name == "postgres" for component in wave):
                        migrations = self._migrations(state, with_airflow=_has_airflow(chosen[-1]))
                        list(pool.map(lambda migration: migration(), migrations))
                        if _has_airflow(chosen[-1]):
                            state.migrated = _versions()
                        state.save()
            return state

    def down(self) -> list[str]:
        """Stop what this stack started, the last first; the names of what ran."""
        with self._alone() as state:
            order = [kind.name for wave in reversed(WAVES) for kind in wave]
            ran = [name for name in order if self._runs(state, name)]
            for wave in reversed(WAVES):
                records = [state.processes[k.name] for k in wave if k.name in state.processes]
                with ThreadPoolExecutor() as pool:
                    list(pool.map(processes.stop, records))
            state.processes.clear()
            state.save()
            return ran

    def clean(self) -> None:
        """Stop everything and forget it, data and all."""
        self.down()
        shutil.rmtree(self.folder)

    def status(self) -> dict[str, dict[str, object]]:
        """For each component whether it runs and is healthy, its address and its log file."""
        state = State.load(self.folder)
        rows: dict[str, dict[str, object]] = {}
        for kind in (kind for wave in WAVES for kind in wave):
            runs = self._runs(state, kind.name)
            component = kind(state)
            rows[kind.name] = {
                "running": runs,
                "healthy": runs and component.is_healthy(),
                "address": component.address if runs else "",
                "log": str(component.log),
            }
        return rows

    def environment(self) -> dict[str, str]:
        """The settings for a process that is to talk to this stack. Raises StackError unless
        Postgres and the object store run."""
        state = State.load(self.folder)
        missing = [name for name in STORES if not self._runs(state, name)]
        if missing:
            raise StackError(f"{' and '.join(missing)} does not run: start it with `make up`")
        return loganalyzer_environment(state)

    def state(self) -> State:
        return State.load(self.folder)

    def _start_wave(
        self, state: State, wave: Sequence[Component], pool: ThreadPoolExecutor, report: Report
    ) -> None:
        begun = time.monotonic()
        list(pool.map(lambda component: component.prepare(), wave))
        for component in wave:
            if not self._runs(state, component.name):
                state.processes[component.name] = processes.start(
                    component.command(), component.environment(), component.log, component.user
                )
                state.save()

        def settle(component: Component) -> None:
            record = state.processes[component.name]
            processes.wait_until(
                component.is_healthy,
                record,
                component.name,
                component.log,
                component.patience_s,
            )
            component.finish()
            report(f"{component.name} {component.address}".strip(), time.monotonic() - begun)

        list(pool.map(settle, wave))

    def _migrations(self, state: State, *, with_airflow: bool) -> list[Callable[[], None]]:
        """Bring the databases to the versions installed; nothing where they are there already."""

        def ours() -> None:
            from include.database import migrate

            migrate(database_url(state, "loganalyzer"))

        def airflow() -> None:
            log = self.folder / "logs" / "airflow-migrate.log"
            processes.run(
                [str(BIN / "airflow"), "db", "migrate"], stack_environment(state), log, None
            )

        if with_airflow and state.migrated != _versions():
            return [ours, airflow]
        return [ours]

    def _runs(self, state: State, name: str) -> bool:
        return processes.find(state.processes.get(name)) is not None

    @contextmanager
    def _alone(self) -> Iterator[State]:
        """The state, while no other process changes the stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield State.load(self.folder)


def _ports_of(running: Collection[str]) -> set[str]:
    owners = {
        "postgres": "postgres",
        "gateway": "gateway",
        "gateway_metrics": "gateway",
        "mlflow": "mlflow",
        "airflow": "airflow-api-server",
        "scheduler_health": "airflow-scheduler",
    }
    return {port for port, owner in owners.items() if owner in running}


def _has_airflow(wave: Sequence[Component]) -> bool:
    return any(component.name.startswith("airflow") for component in wave)


def _versions() -> str:
    return f"apache-airflow {version('apache-airflow')}"
