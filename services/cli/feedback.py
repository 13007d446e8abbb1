"""feedback: what people say of anomalies, and what that mutes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.common import (
    Author,
    Exit,
    Json,
    Reason,
    Source,
    console,
    fail,
    print_json,
    print_table,
    told_errors,
    workspace,
)


class Verdict(StrEnum):
    TRUE = "true"
    FALSE = "false"
    EXPECTED = "expected"


app = typer.Typer(name="feedback", help="Say which anomalies are real and which are false alarms.")


@app.callback()
def feedback() -> None:
    """A false alarm mutes its kind; what is muted is still recorded and counted."""


@app.command()
def give(
    verdict: Annotated[Verdict, typer.Option(help="What it is.")],
    reason: Reason,
    author: Author,
    source: Source = None,
    session: Annotated[str | None, typer.Option(help="The newest anomaly of a session.")] = None,
    window: Annotated[str | None, typer.Option(help="An anomaly, by its window.")] = None,
    template: Annotated[
        str | None, typer.Option(help="Every anomaly whose kind names this template.")
    ] = None,
    incident: Annotated[str | None, typer.Option(help="An incident: all of its kinds.")] = None,
    until: Annotated[
        datetime | None, typer.Option(help="UTC end of what is expected, exclusive.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before something is muted.")
    ] = False,
) -> None:
    """Say that an anomaly is true, false (its kind is muted from that night on), or expected until
    a time (its kind is muted within it).

    Before a mute is saved, it is told what it would have hidden. Example: loganalyzer feedback
    give --source storage --session 0a0b0c0d --verdict false --reason "a test"
    """
    if sum(each is not None for each in (session, window, template, incident)) != 1:
        fail("name one of --session, --window, --template and --incident", Exit.USAGE)
    with told_errors():
        space = workspace()
        from include.database import feedback as table

        subject = table.Subject(source, window, incident, template)
        with space.engine.connect() as conn:
            if session is not None:
                subject = table.of_session(conn, session, source)
            hidden = None if verdict is Verdict.TRUE else table.would_hide(conn, subject)
        # Nothing is held open in the database while somebody thinks it over.
        if hidden is not None:
            console.print(f"This would have hidden {hidden.told}.")
            if not yes and not typer.confirm("Mute it?"):
                fail("nothing was saved")
        ends = until and until.replace(tzinfo=UTC)
        with space.engine.begin() as conn:
            said = table.give(conn, subject, verdict, reason, author, ends)
    console.print(f"saved as feedback {', '.join(map(str, said))}")


@app.command("list")
def list_(source: Source = None, json: Json = False) -> None:
    """List what was said and not withdrawn, the newest first."""
    with told_errors():
        space = workspace()
        from include.database import feedback as table

        with space.engine.connect() as conn:
            rows = table.in_force(conn, source)
    if json:
        print_json(rows)
    elif rows:
        print_table(
            "Feedback",
            ["id", "source", "verdict", "of", "until (UTC)", "hides", "author", "reason"],
            [
                [
                    row["feedback_id"],
                    row["source"],
                    row["verdict"],
                    row["signature"] or f"template {row['template_id']}",
                    row["until"].strftime("%Y-%m-%d %H:%M") if row["until"] else "",
                    "" if row["hidden"] is None else row["hidden"],
                    row["author"],
                    row["reason"],
                ]
                for row in rows
            ],
        )
    else:
        console.print("no feedback")


@app.command()
def withdraw(
    feedback_id: Annotated[int, typer.Argument(help="Its id, as `feedback list` shows it.")],
    reason: Reason,
    author: Author,
) -> None:
    """Take back what was said, and the labels that it made."""
    with told_errors():
        space = workspace()
        from include.database import feedback as table

        with space.engine.begin() as conn:
            gone = table.withdraw(conn, feedback_id, reason, author)
    console.print(f"withdrawn, as feedback {', '.join(map(str, gone))}")
