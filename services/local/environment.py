"""The environment of every process of the stack, and of those who talk to it."""

from __future__ import annotations

import os
from pathlib import Path

from include.settings import PROJECT_ROOT, Settings
from services.local.state import State

# One thread per process: tasks run side by side, and two cores are soon taken.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Its job runner holds seven more processes and two gigabytes, for features nobody uses here.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "SCARF_ANALYTICS": "false",
    "HF_HUB_OFFLINE": "1",
    "PYTHONWARNINGS": "ignore",
}
S3_USER = "loganalyzer"
AIRFLOW_USER = "admin"
FIRST_USER = "admin"  # of the API and the dashboard


def address(state: State, port: str) -> str:
    """Where browsers reach one of the servers."""
    return f"http://127.0.0.1:{state.ports[port]}"


def database_url(state: State, database: str) -> str:
    """The address of one of the databases, each with a role of its own."""
    password = state.secrets[f"{database}_db_password"]
    return f"postgresql+psycopg2://{database}:{password}@127.0.0.1:{state.ports['postgres']}/{database}"


def loganalyzer_environment(state: State) -> dict[str, str]:
    """The settings of `include.settings`, for this stack."""
    own_sources = state.folder / "sources"
    dashboard = address(state, "dashboard")
    return {
        "LOGANALYZER_DATABASE_URL": database_url(state, "loganalyzer"),
        "LOGANALYZER_S3_ENDPOINT": f"127.0.0.1:{state.ports['gateway']}",
        "LOGANALYZER_S3_ACCESS_KEY": S3_USER,
        "LOGANALYZER_S3_SECRET_KEY": state.secrets["s3_secret_key"],
        "LOGANALYZER_MLFLOW_TRACKING_URI": address(state, "mlflow"),
        "LOGANALYZER_AIRFLOW_URL": address(state, "airflow"),
        "LOGANALYZER_AIRFLOW_USER": AIRFLOW_USER,
        "LOGANALYZER_AIRFLOW_PASSWORD": state.secrets["airflow_password"],
        "LOGANALYZER_API_URL": address(state, "api"),
        "LOGANALYZER_DASHBOARD_URL": dashboard,
        "LOGANALYZER_ALERT_LINK": f"{dashboard}/incident?id={{id}}",
        "LOGANALYZER_SOURCES_PATH": os.environ.get(
            "LOGANALYZER_SOURCES_PATH",
            os.pathsep.join([str(PROJECT_ROOT / "include" / "sources"), str(own_sources)]),
        ),
        "LOGANALYZER_STACK_DIR": str(state.folder),
    }


def settings_of(state: State) -> Settings:
    """The same as the settings that they are, whatever the environment of this process says."""
    values = {
        name.removeprefix("LOGANALYZER_").lower(): value
        for name, value in loganalyzer_environment(state).items()
        if name != "LOGANALYZER_STACK_DIR"
    }
    return Settings.model_validate(values)


def stack_environment(state: State) -> dict[str, str]:
    """Everything a process of the stack needs, on top of the caller's own environment."""
    return {
        **os.environ,
        **THREADS,
        **QUIET,
        **loganalyzer_environment(state),
        **_airflow(state),
        **_mlflow(state),
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        # Where bytecode is not kept, each start compiles all of Airflow and MLflow again.
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _mlflow(state: State) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": address(state, "mlflow"),
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{state.ports['gateway']}",
        "AWS_ACCESS_KEY_ID": S3_USER,
        "AWS_SECRET_ACCESS_KEY": state.secrets["s3_secret_key"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _airflow(state: State) -> dict[str, str]:
    home: Path = state.folder / "airflow"
    base = address(state, "airflow")
    settings = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": database_url(state, "airflow"),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(state.ports["airflow"]),
        "API__BASE_URL": base,
        "API__WORKERS": "1",
        "API__SECRET_KEY": state.secrets["airflow_secret_key"],
        "API_AUTH__JWT_SECRET": state.secrets["airflow_jwt_secret"],
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(state.ports["scheduler_health"]),
        # A killed supervisor is noticed within half a minute instead of five.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }
