"""The template catalogue in Postgres."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database.models import Template
from ml.templates import Catalogue

CHANGEABLE = ["text", "body", "replaced_by", "version"]
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


def save_catalogue(conn: Connection, catalogue: Catalogue) -> None:
    """Insert what is new and update what differs; a second call changes no row."""
    rows = [{**row, "source": catalogue.source} for row in catalogue.to_frame().to_dicts()]
    for start in range(0, len(rows), ROWS):
        statement = insert(Template).values(rows[start : start + ROWS])
        differs = sa.or_(
            *(
                getattr(Template, name).is_distinct_from(statement.excluded[name])
                for name in CHANGEABLE
            )
        )
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=[Template.template_id],
                set_={name: statement.excluded[name] for name in CHANGEABLE},
                where=differs,
            )
        )


def template_texts(conn: Connection, source: str) -> dict[str, str]:
    """The text of each template of a source, by id."""
    query = sa.select(Template.template_id, Template.text).where(Template.source == source)
    return {template_id: text for template_id, text in conn.execute(query)}
