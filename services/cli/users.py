"""users: who may log in to the API and the dashboard."""

from __future__ import annotations

import getpass
import secrets
import sys
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.common import (
    Exit,
    Json,
    console,
    fail,
    print_json,
    print_table,
    told_errors,
    workspace,
)


class Role(StrEnum):
    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"


app = typer.Typer(name="users", help="Say who may log in to the API and the dashboard.")
Name = Annotated[str, typer.Argument(help="What they log in with.")]
Generate = Annotated[
    bool, typer.Option("--generate", help="Make up a password and print it, this once.")
]


@app.callback()
def users() -> None:
    """A password is asked for, or read from standard input where that is no terminal."""


@app.command()
def create(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.VIEWER,
    email: Annotated[str | None, typer.Option(help="Where to write to them.")] = None,
    generate: Generate = False,
) -> None:
    """Make an account. Example: loganalyzer users create ada --role analyst --generate"""
    with told_errors():
        space = workspace()
        from include.database import accounts, audit

        password = _new_password(generate)
        with space.engine.begin() as conn:
            accounts.create_user(conn, name, password, role, email)
            after = {"role": role.value, "email": email}
            audit.record(conn, _actor(), "user.create", name.lower(), after=after)
    console.print(f"{name.lower()} may log in, as {role.value}", markup=False)
    _tell(password, generate)


@app.command("list")
def list_(json: Json = False) -> None:
    """List who may log in."""
    with told_errors():
        space = workspace()
        from include.database import accounts

        with space.engine.connect() as conn:
            rows = accounts.users(conn)
    if json:
        print_json(rows)
        return
    columns = ["name", "role", "e-mail", "signed in by", "state", "since (UTC)"]
    print_table("Users", columns, [_row(row) for row in rows])


@app.command()
def password(name: Name, generate: Generate = False) -> None:
    """Give somebody another password, which also unlocks them and ends their logins."""
    with told_errors():
        space = workspace()
        from include.database import accounts, audit

        with space.engine.connect() as conn:
            user = accounts.user_named(conn, name.lower())
        if user is None:
            fail(f"no user {name!r}: `loganalyzer users list` lists them", Exit.USAGE)
        new = _new_password(generate)
        with space.engine.begin() as conn:
            accounts.set_password(conn, user["name"], new)
            after = {"password": "changed"}
            audit.record(conn, _actor(), "user.update", user["name"], after=after)
    console.print(f"{user['name']} has another password", markup=False)
    _tell(new, generate)


def _new_password(generate: bool) -> str:
    if generate:
        return secrets.token_urlsafe(18)
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\r\n")


def _tell(password: str, generate: bool) -> None:
    if generate:
        typer.echo(password)


def _actor():
    from include.database.audit import Actor

    return Actor(getpass.getuser(), "cli")


def _row(user: dict) -> list[str]:
    state = "locked" if user["is_locked"] else "active"
    return [
        user["name"],
        user["role"],
        user["email"] or "",
        "provider" if user["oidc_subject"] else "password",
        state if user["is_active"] else "stopped",
        user["created_at"].strftime("%Y-%m-%d %H:%M"),
    ]
