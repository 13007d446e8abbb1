"""up, down, status, clean, env: the embedded stack."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import typer

from services.cli.common import (
    Exit,
    Json,
    console,
    print_json,
    print_table,
    stack,
    told_errors,
)

if TYPE_CHECKING:
    from services.local.state import State


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: loganalyzer up && loganalyzer status")(up)
    app.command(epilog="Example: loganalyzer down")(down)
    app.command(epilog="Example: loganalyzer status --json | jq .mlflow.address")(status)
    app.command(epilog="Example: LOGANALYZER_STACK_DIR=/tmp/trial loganalyzer clean")(clean)
    app.command(epilog='Example: eval "$(loganalyzer env)"')(env)


def up() -> None:
    """Start the embedded stack, or what of it does not run, and print its addresses."""
    with told_errors():
        print_addresses(start())


def start() -> State:
    """Start the stack with a line for each component."""
    with console.status(
        "starting Postgres, the object store, MLflow, Airflow, the API and the dashboard…"
    ):
        return stack().up(
            report=lambda told, seconds: console.print(f"  [green]✓[/] {told} ({seconds:.1f} s)")
        )


def print_addresses(state: State) -> None:
    from services.local.environment import (
        AIRFLOW_USER,
        FIRST_USER,
        S3_USER,
        address,
        database_url,
    )

    secrets = state.secrets
    own_login = f"{FIRST_USER} / {secrets['admin_password']}"
    airflow_login = f"{AIRFLOW_USER} / {secrets['airflow_password']}"
    print_table(
        "Addresses",
        ["what", "where", "login"],
        [
            ["Dashboard", address(state, "dashboard"), own_login],
            ["API", address(state, "api"), "the same, or a token"],
            ["Airflow", address(state, "airflow"), airflow_login],
            ["MLflow", address(state, "mlflow"), ""],
            ["S3", address(state, "gateway"), f"{S3_USER} / {secrets['s3_secret_key']}"],
            ["Postgres", database_url(state, "loganalyzer").replace("+psycopg2", ""), ""],
        ],
    )


def down() -> None:
    """Stop the embedded stack; its data stay for the next `up`."""
    with told_errors(), console.status("stopping…"):
        stopped = stack().down()
    console.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(json: Json = False) -> None:
    """Show what runs, whether it is healthy, and where its log is.

    Ends with exit code 3 unless everything is healthy.
    """
    rows = stack().status()
    if json:
        print_json(rows)
    else:
        print_table(
            "Embedded stack",
            ["component", "state", "address", "log"],
            [
                [
                    name,
                    ("healthy" if row["healthy"] else "not healthy")
                    if row["running"]
                    else "stopped",
                    row["address"],
                    row["log"],
                ]
                for name, row in rows.items()
            ],
        )
    if not all(row["healthy"] for row in rows.values()):
        raise typer.Exit(Exit.NOT_RUNNING)


def clean() -> None:
    """Stop the embedded stack and delete all of its data."""
    embedded = stack()
    if not embedded.exists():
        console.print(f"{embedded.folder} holds no stack: nothing to remove")
        return
    with told_errors():
        embedded.clean()
    console.print(f"removed {embedded.folder}")


def env() -> None:
    """Print the settings for other programs, as exports for a shell."""
    with told_errors():
        for name, value in stack().environment().items():
            print(f"export {name}={shlex.quote(value)}")
