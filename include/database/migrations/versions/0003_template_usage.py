"""Templates by the day, and counted for those that they were merged into."""

from alembic import op

revision = "0003"
down_revision = "0002"

SURVIVORS = """
CREATE VIEW loganalyzer.template_survivors AS
WITH RECURSIVE followed AS (
    SELECT template_id, template_id AS survivor_id, replaced_by FROM loganalyzer.templates
    UNION
    SELECT f.template_id, t.template_id, t.replaced_by
    FROM followed AS f JOIN loganalyzer.templates AS t ON t.template_id = f.replaced_by
)
SELECT template_id, survivor_id FROM followed WHERE replaced_by IS NULL
"""
# The columns of the view before, and `per_day` after them: comments stay.
USAGE = """
CREATE OR REPLACE VIEW loganalyzer.template_usage AS
SELECT t.template_id, t.source, t.text, coalesce(sum(c.count), 0)::bigint AS count,
       min(c.first_seen_utc) AS first_seen_utc, max(c.last_seen_utc) AS last_seen_utc,
       min(o.object_key || ':' || c.example_line_number) AS example,
       (coalesce(sum(c.count), 0) / coalesce(p.days, 1))::double precision AS per_day
FROM loganalyzer.templates AS t
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
USAGE_COMMENTS = {
    "template_id": "Hash of source and first text",
    "source": "Name of the log source",
    "text": "For people: variable parts as <*>",
    "count": "Events in all visible objects",
    "first_seen_utc": "Earliest event time",
    "last_seen_utc": "Latest event time",
    "example": "Key of an object and a line of it that shows the template",
}
SURVIVORS_COMMENTS = {
    "template_id": "The template",
    "survivor_id": "Itself, or what it was merged into in the end",
}
PER_DAY = "Events a day, over the time from the first to the last event of the source, at least a day"


def comment(view: str, meaning: str, columns: dict[str, str]) -> None:
    op.execute(f"COMMENT ON VIEW loganalyzer.{view} IS '{meaning}'")
    for column, of_column in columns.items():
        op.execute(f"COMMENT ON COLUMN loganalyzer.{view}.{column} IS '{of_column}'")


def upgrade() -> None:
    op.execute(SURVIVORS)
    comment("template_survivors", "Where the redirects of templates lead", SURVIVORS_COMMENTS)
    op.execute(USAGE)
    comment(
        "template_usage",
        "How often, since when and where each template occurs, with those merged into it",
        {"per_day": PER_DAY},
    )


def downgrade() -> None:
    op.execute("DROP VIEW loganalyzer.template_usage")
    op.execute("DROP VIEW loganalyzer.template_survivors")
    op.execute(USAGE_BEFORE)
    comment(
        "template_usage", "How often, since when and where each template occurs", USAGE_COMMENTS
    )
