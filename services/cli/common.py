"""What the commands share."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from include.workspace import Workspace
    from services.airflow_api import AirflowApi
    from services.local import Stack


class Exit(IntEnum):
    """What an exit code means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3


EXIT_CODES = "0 done; 1 it failed; 2 wrong usage or input; 3 the stack does not run."

# Where nobody watches, lines are as long as they need to be.
console = Console(width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Source = Annotated[
    str | None, typer.Option("--source", "-s", help="One log source; all of them if not given.")
]
Author = Annotated[
    str, typer.Option(default_factory=getpass.getuser, help="Who says so.", show_default="you")
]
Reason = Annotated[str, typer.Option(help="Why, for those who read it later.")]


def stack_folder() -> Path:
    from include.settings import PROJECT_ROOT

    return Path(os.environ.get("LOGANALYZER_STACK_DIR", PROJECT_ROOT / ".local"))


def stack() -> Stack:
    from services.local import Stack

    return Stack(stack_folder())


def fail(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    errors.print(message, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


@contextmanager
def told_errors() -> Iterator[None]:
    """Errors that a user can do something about, as a message and an exit code."""
    from include.database.accounts import InvalidAccount
    from include.database.anomalies import NoSuchAnomaly
    from include.database.feedback import InvalidFeedback
    from include.database.incidents import InvalidResolution
    from include.database.labels import InvalidLabels
    from include.database.proposals import NoProposal
    from include.sources import InvalidSource
    from services.airflow_api import AirflowError
    from services.local import StackError

    wrong_input = (
        InvalidAccount,
        InvalidFeedback,
        InvalidLabels,
        InvalidResolution,
        InvalidSource,
        NoProposal,
        NoSuchAnomaly,
    )
    try:
        yield
    except StackError as error:
        fail(str(error), Exit.NOT_RUNNING)
    except wrong_input as error:
        fail(str(error), Exit.USAGE)
    except AirflowError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; run the same command again to go on")


def workspace() -> Workspace:
    """The workspace of the settings in the environment, or else of the embedded stack."""
    if "LOGANALYZER_DATABASE_URL" not in os.environ:
        os.environ.update(stack().environment())
    from include.workspace import open_workspace

    return open_workspace()


def airflow() -> AirflowApi:
    """Airflow of the embedded stack. Raises StackError where it does not run."""
    from services.local import StackError

    embedded = stack()
    if not embedded.status()["airflow-api-server"]["running"]:
        raise StackError("Airflow does not run: start it with `loganalyzer up`")
    return embedded.airflow()


def print_json(document: Any) -> None:
    json.dump(document, sys.stdout, default=str, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table; what logs say is shown as it is, without being taken for markup or control."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console.print(table)


def printable(text: str) -> str:
    """Control characters, which could steer a terminal, as the symbols that stand for them."""
    return "".join(
        char if char.isprintable() or char == " " else f"\\x{ord(char):02x}" for char in text
    )
