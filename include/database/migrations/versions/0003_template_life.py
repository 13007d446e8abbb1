"""The view `templates` for people over the table `template_catalogue`, and what changed in it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = "loganalyzer"
SURVIVORS = """
CREATE VIEW loganalyzer.template_survivors AS
WITH RECURSIVE followed AS (
    SELECT template_id, template_id AS survivor_id, replaced_by FROM loganalyzer.template_catalogue
    UNION
    SELECT f.template_id, t.template_id, t.replaced_by
    FROM followed AS f JOIN loganalyzer.template_catalogue AS t ON t.template_id = f.replaced_by
)
SELECT template_id, survivor_id FROM followed WHERE replaced_by IS NULL
"""
VIEW = """
CREATE VIEW loganalyzer.templates AS
SELECT t.template_id, t.source, t.text, t.name, min(c.first_seen_utc) AS first_seen_utc,
       max(c.last_seen_utc) AS last_seen_utc, coalesce(sum(c.count), 0)::bigint AS count,
       (coalesce(sum(c.count), 0) / coalesce(p.days, 1))::double precision AS per_day,
       min(o.object_key || ':' || c.example_line_number) AS example
FROM loganalyzer.template_catalogue AS t
JOIN loganalyzer.template_survivors AS s ON s.survivor_id = t.template_id
LEFT JOIN (loganalyzer.template_counts AS c
    JOIN loganalyzer.events_ledger AS o ON o.object_id = c.object_id AND o.state = 'ingested'
) ON c.template_id = s.template_id
LEFT JOIN (
    SELECT source, greatest(
        1, extract(epoch FROM max(last_event_utc) - min(first_event_utc)) / 86400
    ) AS days
    FROM loganalyzer.events_ledger WHERE state = 'ingested' GROUP BY source
) AS p ON p.source = t.source
GROUP BY t.template_id, p.days
"""
USAGE_BEFORE = """
CREATE VIEW loganalyzer.template_usage AS
SELECT t.template_id, t.source, t.text, coalesce(sum(c.count), 0)::bigint AS count,
       min(c.first_seen_utc) AS first_seen_utc, max(c.last_seen_utc) AS last_seen_utc,
       min(o.object_key || ':' || c.example_line_number) AS example
FROM loganalyzer.templates AS t
LEFT JOIN (loganalyzer.template_counts AS c
    JOIN loganalyzer.events_ledger AS o ON o.object_id = c.object_id AND o.state = 'ingested'
) ON c.template_id = t.template_id
GROUP BY t.template_id
"""
MEANING = "How often, since when and where each template occurs, with those merged into it"
PER_DAY = "Events a day, over the time from the first to the last event of the source, at least a day"
COMMENTS = {
    "template_id": "Hash of source and first text",
    "source": "Name of the log source",
    "text": "For people: variable parts as <*>",
    "name": "What people call it",
    "first_seen_utc": "Earliest event time",
    "last_seen_utc": "Latest event time",
    "count": "Events in all visible objects",
    "per_day": PER_DAY,
    "example": "Key of an object and a line of it that shows the template",
}


SURVIVORS_COMMENTS = {
    "template_id": "The template",
    "survivor_id": "Itself, or what it was merged into in the end",
}


def comment_on(view: str, meaning: str, columns: dict[str, str]) -> None:
    op.execute(f"COMMENT ON VIEW {SCHEMA}.{view} IS '{meaning}'")
    for name, of_column in columns.items():
        op.execute(f"COMMENT ON COLUMN {SCHEMA}.{view}.{name} IS '{of_column}'")


def upgrade() -> None:
    op.execute("DROP VIEW loganalyzer.template_usage")
    op.rename_table("templates", "template_catalogue", schema=SCHEMA)
    op.execute("ALTER INDEX loganalyzer.pk_templates RENAME TO pk_template_catalogue")
    op.execute("ALTER INDEX loganalyzer.ix_templates_source RENAME TO ix_template_catalogue_source")
    op.add_column(
        "template_catalogue",
        sa.Column("name", sa.Text(), nullable=True, comment="What people call it"),
        schema=SCHEMA,
    )
    op.create_table(
        "template_changes",
        sa.Column(
            "change_id",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="Row number, in order of time",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("template_id", sa.Text(), nullable=False, comment="The template"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="created, widened, merged, restored, renamed, split, pinned, unpinned or "
            "retired",
        ),
        sa.Column(
            "before",
            sa.Text(),
            nullable=True,
            comment="Its text before, or its name where it was renamed",
        ),
        sa.Column("after", sa.Text(), nullable=True, comment="The same afterwards"),
        sa.Column(
            "merged_into", sa.Text(), nullable=True, comment="The template that it was merged into"
        ),
        sa.Column(
            "changed_by", sa.Text(), nullable=False, comment="Who did it: a person, or ingest"
        ),
        sa.Column("note", sa.Text(), nullable=False, comment="Why"),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When",
        ),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_template_changes")),
        schema=SCHEMA,
        comment="The life of each template; rows are only ever added",
    )
    op.create_index(
        op.f("ix_template_changes_source_template_id"),
        "template_changes",
        ["source", "template_id"],
        schema=SCHEMA,
    )
    op.create_table_comment(
        "template_counts",
        "Events of each template in each object; the view templates adds up",
        existing_comment="Events of each template in each object; the view template_usage adds up",
        schema=SCHEMA,
    )
    op.execute(SURVIVORS)
    comment_on("template_survivors", "Where the redirects of templates lead", SURVIVORS_COMMENTS)
    op.execute(VIEW)
    comment_on("templates", MEANING, COMMENTS)


def downgrade() -> None:
    op.execute("DROP VIEW loganalyzer.templates")
    op.execute("DROP VIEW loganalyzer.template_survivors")
    op.create_table_comment(
        "template_counts",
        "Events of each template in each object; the view template_usage adds up",
        schema=SCHEMA,
    )
    op.drop_table("template_changes", schema=SCHEMA)
    op.drop_column("template_catalogue", "name", schema=SCHEMA)
    op.execute("ALTER INDEX loganalyzer.ix_template_catalogue_source RENAME TO ix_templates_source")
    op.execute("ALTER INDEX loganalyzer.pk_template_catalogue RENAME TO pk_templates")
    op.rename_table("template_catalogue", "templates", schema=SCHEMA)
    op.execute(USAGE_BEFORE)
    comment_on(
        "template_usage",
        "How often, since when and where each template occurs",
        {key: COMMENTS[key] for key in COMMENTS if key not in ("name", "per_day")},
    )
