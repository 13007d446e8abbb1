"""Views for people."""

from alembic import op

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
WHERE a.interval_start = (
    SELECT max(n.interval_start) FROM loganalyzer.latest_scorings AS n
    WHERE n.source = a.source AND n.windows > 0
)
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
VIEWS = {
    "latest_scorings": (LATEST_SCORINGS, "The newest scoring of each source and interval"),
    "last_night": (LAST_NIGHT, "Anomalies of the newest night of each source that had windows"),
    "template_usage": (TEMPLATE_USAGE, "How often, since when and where each template occurs"),
}


def upgrade() -> None:
    for name, (definition, comment) in VIEWS.items():
        op.execute(definition)
        op.execute(f"COMMENT ON VIEW loganalyzer.{name} IS '{comment}'")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW loganalyzer.{name}")
