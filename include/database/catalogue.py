"""The template catalogue in Postgres."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database.models import Template, TemplateChange
from ml.templates import Catalogue
from ml.templates.edits import changes_between

CHANGEABLE = ["text", "body", "name", "replaced_by", "version"]
ROWS = 1000


def lock_catalogue(conn: Connection, source: str) -> None:
    """Let one transaction at a time extend the catalogue of a source."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(source, 0))))


def load_catalogue(conn: Connection, source: str, masks: tuple[str, ...]) -> Catalogue:
    """The catalogue as it was last saved, empty where it never was; `masks` are the source's."""
    rows = conn.execute(
        sa.select(Template.template_id, *(getattr(Template, name) for name in CHANGEABLE))
        .where(Template.source == source)
        .order_by(Template.template_id)
    ).all()
    frame = pl.DataFrame(
        [tuple(row) for row in rows],
        schema=Catalogue.empty(source).to_frame().schema,
        orient="row",
    )
    return Catalogue.from_frame(source, masks, frame)


def save_catalogue(
    conn: Connection, before: Catalogue, after: Catalogue, by: str, note: str = ""
) -> None:
    """Store what differs from the catalogue as it was loaded, and who changed it; where nothing
    does, no row changes.

    by: a person, or `ingest`. The catalogue must be locked since it was loaded.
    """
    changed = [key for key, each in after.templates.items() if before.templates.get(key) != each]
    frame = after.to_frame().filter(pl.col("template_id").is_in(changed))
    rows = [{**row, "source": after.source} for row in frame.to_dicts()]
    for start in range(0, len(rows), ROWS):
        statement = insert(Template).values(rows[start : start + ROWS])
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=[Template.template_id],
                set_={name: statement.excluded[name] for name in CHANGEABLE},
            )
        )
    said = {"source": after.source, "changed_by": by, "note": note}
    steps = [{**asdict(change), **said} for change in changes_between(before, after)]
    if steps:
        conn.execute(sa.insert(TemplateChange), steps)


def template_history(
    conn: Connection, source: str | None = None, template_id: str | None = None
) -> list[dict[str, Any]]:
    """The rows of `template_changes`, the oldest first; all where neither is given."""
    query = sa.select(*TemplateChange.__table__.columns).order_by(TemplateChange.change_id)
    if source is not None:
        query = query.where(TemplateChange.source == source)
    if template_id is not None:
        query = query.where(TemplateChange.template_id == template_id)
    return [dict(row) for row in conn.execute(query).mappings()]


def source_of_template(conn: Connection, template_id: str) -> str | None:
    """The source that a template belongs to, None where there is no such template."""
    return conn.scalar(sa.select(Template.source).where(Template.template_id == template_id))


def catalogue_version(conn: Connection, source: str) -> int:
    """The number of the last change to a source's templates, 0 before the first."""
    newest = sa.select(sa.func.max(TemplateChange.change_id))
    return conn.scalar(newest.where(TemplateChange.source == source)) or 0


def template_redirects(conn: Connection, source: str) -> dict[str, str]:
    """For each template of a source that was merged, the id it goes by today."""
    merged = sa.text(
        "SELECT s.template_id, s.survivor_id FROM loganalyzer.template_survivors AS s"
        " JOIN loganalyzer.template_catalogue AS t USING (template_id)"
        " WHERE t.source = :source AND s.template_id <> s.survivor_id"
    )
    return {old: new for old, new in conn.execute(merged, {"source": source})}


def template_texts(conn: Connection, source: str) -> dict[str, str]:
    """The text of each template of a source, by id; the name where people gave it one."""
    shown = sa.func.coalesce(Template.name, Template.text)
    query = sa.select(Template.template_id, shown).where(Template.source == source)
    return {template_id: text for template_id, text in conn.execute(query)}
