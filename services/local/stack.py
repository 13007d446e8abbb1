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
from typing import TYPE_CHECKING

from services.local import components, processes
from services.local.components import BIN, Component
from services.local.environment import (
    AIRFLOW_USER,
    address,
    database_url,
    loganalyzer_environment,
    stack_environment,
)
from services.local.processes import StackError
from services.local.state import State

if TYPE_CHECKING:
    from services.airflow_api import AirflowApi

# What starts side by side. MLflow migrates its database itself, beside the migration of Airflow's.
STORES: tuple[type[Component], ...] = (components.Postgres, components.Gateway)
TRACKING: tuple[type[Component], ...] = (components.MLflow,)
AIRFLOW: tuple[type[Component], ...] = (
    components.AirflowApi,
    components.AirflowScheduler,
    components.AirflowDagProcessor,
    components.AirflowTriggerer,
)
FACES: tuple[type[Component], ...] = (components.Api, components.Dashboard)
WAVES = (STORES, TRACKING, AIRFLOW, FACES)
KINDS = tuple(kind for wave in WAVES for kind in wave)
POLL_S = 0.2
# What may lie in the folder before there is a stack: the demo writes its logs and source first.
WELCOME = {".lock", "samples", "sources"}
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
            running = {kind.name for kind in KINDS if self._runs(state, kind.name)}
            if "postgres" not in running:
                # What has lost its connections with it may end any moment: it starts anew too.
                running -= {kind.name for kind in (*TRACKING, *AIRFLOW, *FACES)}
            # What was killed has left children: they hold its port and its memory.
            self._stop(state, [kind for kind in KINDS if kind.name not in running])
            state.choose_ports(in_use=_ports_of(running))
            state.save()
            stores, tracking, airflow, faces = (
                [kind(state) for kind in kinds if only is None or kind.name in only]
                for kinds in WAVES
            )
            begun = time.monotonic()
            self._launch(state, stores)
            self._settle(state, stores, report, begun)
            self._launch(state, tracking)
            if any(component.name == "postgres" for component in stores):
                self._migrate(state, with_airflow=bool(airflow))
            self._launch(state, [*airflow, *faces])
            self._settle(state, [*tracking, *airflow, *faces], report, begun)
            return state

    def down(self) -> list[str]:
        """Stop what this stack started, the last first; the names of what ran."""
        if not self.exists():
            return []
        with self._alone() as state:
            ran = [kind.name for kind in reversed(KINDS) if self._runs(state, kind.name)]
            self._stop(state, (*TRACKING, *AIRFLOW, *FACES))
            self._stop(state, STORES)
            return ran

    def clean(self) -> None:
        """Stop everything and forget it, data and all.

        Raises StackError where the folder holds no stack, and leaves it as it is.
        """
        if not self.exists():
            raise StackError(f"{self.folder} holds no stack: nothing is removed")
        self.down()
        shutil.rmtree(self.folder)

    def status(self) -> dict[str, dict[str, object]]:
        """For each component whether it runs and is healthy, its address and its log file."""
        state = State.load(self.folder)
        rows: dict[str, dict[str, object]] = {}
        for kind in KINDS:
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
        missing = [kind.name for kind in STORES if not self._runs(state, kind.name)]
        if missing:
            raise StackError(f"{' and '.join(missing)} does not run: start it with `make up`")
        return loganalyzer_environment(state)

    def airflow(self) -> AirflowApi:
        """Airflow's REST API; it logs in when it is first asked."""
        from services.airflow_api import AirflowApi

        state = self.state()
        password = state.secrets["airflow_password"]
        return AirflowApi(address(state, "airflow"), AIRFLOW_USER, password)

    def exists(self) -> bool:
        """Whether the folder holds a stack, running or not."""
        return State(self.folder).path.exists()

    def state(self) -> State:
        return State.load(self.folder)

    def _launch(self, state: State, chosen: Sequence[Component]) -> None:
        """Start what does not run."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda component: component.prepare(), chosen))
        for component in chosen:
            if not self._runs(state, component.name):
                self._stop(state, [type(component)])  # what it left if it died just now
                state.processes[component.name] = processes.start(
                    component.command(), component.environment(), component.log, component.user
                )
                state.save()

    def _settle(
        self, state: State, chosen: Sequence[Component], report: Report, begun: float
    ) -> None:
        """Wait until all of them are healthy, or the first of them has failed."""
        launched = time.monotonic()
        waiting = list(chosen)
        while waiting:
            for component in list(waiting):
                is_healthy = component.is_healthy()
                if not self._runs(state, component.name):  # its orphans may answer in its place
                    raise StackError(
                        f"{component.name} ended while it was starting\n"
                        + processes.tail(component.log)
                    )
                if is_healthy:
                    component.finish()
                    report(f"{component.name} {component.address}".strip(), _since(begun))
                    waiting.remove(component)
                elif _since(launched) > component.patience_s:
                    raise StackError(
                        f"{component.name} is not healthy after {component.patience_s:.0f} s; "
                        f"`make down` and `make up` start it anew\n" + processes.tail(component.log)
                    )
            time.sleep(POLL_S if waiting else 0)

    def _migrate(self, state: State, *, with_airflow: bool) -> None:
        """Bring the databases to the versions installed; nothing where they are there already."""
        from include.database import migrate

        ours = database_url(state, "loganalyzer")
        if not with_airflow or state.migrated == _versions():
            migrate(ours)
            return
        log = self.folder / "logs" / "airflow-migrate.log"
        command = [str(BIN / "airflow"), "db", "migrate"]
        with processes.running(command, stack_environment(state), log):
            migrate(ours)
        state.migrated = _versions()
        state.save()

    def _stop(self, state: State, kinds: Sequence[type[Component]]) -> None:
        """Stop these, side by side, with what killed ones have left behind, and forget them."""
        known = [kind for kind in kinds if kind.name in state.processes]
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(
                    lambda kind: processes.stop(
                        state.processes[kind.name], self.folder, kind.stop_signal
                    ),
                    known,
                )
            )
        for kind in known:
            del state.processes[kind.name]
        state.save()

    def _runs(self, state: State, name: str) -> bool:
        return processes.find(state.processes.get(name)) is not None

    @contextmanager
    def _alone(self) -> Iterator[State]:
        """The state, while no other process changes the stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        strange = sorted({path.name for path in self.folder.iterdir()} - WELCOME)
        if strange and not self.exists():
            raise StackError(
                f"{self.folder} is not empty ({strange[0]}) and holds no stack: set "
                "LOGANALYZER_STACK_DIR to a folder of its own, which `clean` may remove"
            )
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
        "api": "api",
        "dashboard": "dashboard",
    }
    return {port for port, owner in owners.items() if owner in running}


def _since(moment: float) -> float:
    return time.monotonic() - moment


def _versions() -> str:
    return f"apache-airflow {version('apache-airflow')}"
