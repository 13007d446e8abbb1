"""templates rename, merge, split, pin, retire…: what people know better than mining."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.common import (
    Exit,
    Json,
    Source,
    console,
    fail,
    print_json,
    print_table,
    told_errors,
    workspace,
)

if TYPE_CHECKING:
    from ml.templates import Catalogue

Id = Annotated[str, typer.Argument(metavar="ID", help="A template, as `templates list` shows it.")]
By = Annotated[str | None, typer.Option(help="Who says so; your user name by default.")]
Note = Annotated[str, typer.Option(help="Why, for those who read it later.")]


def register(app: typer.Typer) -> None:
    for command in (rename, merge, split, pin, unpin, retire, restore, history):
        app.command()(command)


def rename(
    template_id: Id,
    name: Annotated[str, typer.Argument(help="What people call it; empty for no name.")],
    by: By = None,
    note: Note = "",
) -> None:
    """Give a template a name, which lists and reasons show in place of its text."""
    from ml.templates import edits

    _edit(template_id, lambda before: edits.rename(before, template_id, name), by, note)


def merge(
    template_id: Id,
    into: Annotated[str, typer.Argument(help="The template that is left.")],
    by: By = None,
    note: Note = "",
) -> None:
    """Count two templates as one from now on, also in what is stored already."""
    from ml.templates import edits

    _edit(template_id, lambda before: edits.merge(before, template_id, into), by, note)


def split(
    template_id: Id,
    parameter: Annotated[int, typer.Option(min=1, help="Which <*> of the text, from one.")],
    value: Annotated[list[str], typer.Option(help="A word; once for each.")],
    by: By = None,
    note: Note = "",
) -> None:
    """Give later lines with these words in one place templates of their own.

    Example: loganalyzer templates split 0123456789ab --parameter 2 --value failed
    """
    from ml.templates import edits

    _edit(template_id, lambda before: edits.split(before, template_id, parameter, value), by, note)


def pin(template_id: Id, by: By = None, note: Note = "") -> None:
    """Keep mining from ever widening or merging a template."""
    from ml.templates import edits

    _edit(template_id, lambda before: edits.pin(before, template_id), by, note)


def unpin(template_id: Id, by: By = None, note: Note = "") -> None:
    """Let mining widen and merge a template again."""
    from ml.templates import edits

    _edit(template_id, lambda before: edits.unpin(before, template_id), by, note)


def retire(template_id: Id, by: By = None, note: Note = "") -> None:
    """Say that a template is not expected any more. It comes back when its lines do."""
    from ml.templates import edits

    _edit(template_id, lambda before: edits.retire(before, template_id), by, note)


def restore(template_id: Id, by: By = None, note: Note = "") -> None:
    """Take back that a template was retired, or merged by hand."""
    from ml.templates import edits

    _edit(template_id, lambda before: edits.restore(before, template_id), by, note)


def history(
    template_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One template.")] = None,
    source: Source = None,
    json: Json = False,
) -> None:
    """Show what happened to templates: when, by whom and why."""
    with told_errors():
        from include.database.catalogue import template_history

        with workspace().engine.connect() as conn:
            rows = template_history(conn, source, template_id)
    if json:
        print_json(rows)
        return
    columns = ["when (UTC)", "source", "id", "what", "before", "after", "by", "note"]
    shown = [
        [
            f"{row['changed_at']:%Y-%m-%d %H:%M:%S}",
            *(row[key] for key in ("source", "template_id", "kind")),
            row["before"] or "",
            row["after"] or row["merged_into"] or "",
            row["changed_by"],
            row["note"],
        ]
        for row in rows
    ]
    print_table("Changes of templates", columns, shown)


def _edit(
    template_id: str, change: Callable[[Catalogue], Catalogue], by: str | None, note: str
) -> None:
    """Change the catalogue that a template belongs to, alone and all at once."""
    with told_errors():
        space = workspace()
        from include.database import catalogue
        from ml.templates.edits import InvalidEdit, changes_between

        with space.engine.begin() as conn:
            source = catalogue.source_of_template(conn, template_id)
            if source is None or source not in space.sources:
                fail(f"no template {template_id!r}; `templates list` shows them", Exit.USAGE)
            catalogue.lock_catalogue(conn, source)
            before = catalogue.load_catalogue(conn, source, space.source(source).masks)
            try:
                after = change(before)
            except InvalidEdit as error:
                fail(str(error), Exit.USAGE)
            catalogue.save_catalogue(conn, before, after, by or getpass.getuser(), note)
    changes = changes_between(before, after)
    for each in changes:
        target = f" into {each.merged_into}" if each.merged_into else ""
        console.print(f"{each.template_id} {each.kind}{target}", markup=False)
    if not changes:
        console.print("nothing to change: it is so already")
