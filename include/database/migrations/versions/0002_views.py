"""Views for people."""

from alembic import op

from include.database.view_comments import comment_on_view

revision = "0002"
down_revision = "0001"

LATEST_SCORINGS = """
CREATE VIEW loganalyzer.latest_scorings AS
SELECT DISTINCT ON (source, interval_start, interval_end) *
FROM loganalyzer.scorings
ORDER BY source, interval_start, interval_end, scored_at DESC, model_version DESC
"""
LAST_NIGHT = """
CREATE VIEW loganalyzer.last_night AS
SELECT a.window_start AS time, a.source, a.session_key AS session, a.score, a.severity, a.reason,
       a.events, a.window_end, a.lines, a.detector, a.model_version, a.interval_start AS night
FROM loganalyzer.anomalies AS a
JOIN loganalyzer.latest_scorings AS s
    USING (source, interval_start, interval_end, model_name, model_version)
JOIN (
    SELECT source, max(interval_start) AS interval_start
    FROM loganalyzer.latest_scorings WHERE windows > 0 GROUP BY source
) AS newest USING (source, interval_start)
ORDER BY a.score DESC
"""
TEMPLATE_USAGE = """
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
# name: definition, comment, the table whose columns of the same name say what a column is, and
# what the other columns are
VIEWS = {
    "latest_scorings": (
        LATEST_SCORINGS,
        "The newest scoring of each source and interval",
        "scorings",
        {},
    ),
    "last_night": (
        LAST_NIGHT,
        "Anomalies of the newest night of each source that had windows",
        "anomalies",
        {
            "time": "First event of the window, or start of its time",
            "session": "The session, where windows are sessions",
            "night": "Start of the scored interval",
        },
    ),
    "template_usage": (
        TEMPLATE_USAGE,
        "How often, since when and where each template occurs",
        "templates",
        {
            "count": "Events in all visible objects",
            "first_seen_utc": "Earliest event time",
            "last_seen_utc": "Latest event time",
            "example": "Key of an object and a line of it that shows the template",
        },
    ),
}


def upgrade() -> None:
    for view, (definition, comment, table, columns) in VIEWS.items():
        op.execute(definition)
        comment_on_view(view, comment, table, columns)


def downgrade() -> None:
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW loganalyzer.{view}")
