"""Views for people: how sources and nights are, who is noisy, what others would have said."""

from alembic import op

from include.database.view_comments import comment_on_view

revision = "0012"
down_revision = "0011"

SCHEMA = "loganalyzer"
# A signature is `kind:template|kind:template>template`, sorted.
NAMED = "string_to_array(translate(a.signature, '|>', '::'), ':')"

NOISY = f"""
CREATE VIEW {SCHEMA}.noisy_templates AS
SELECT a.source, t.template_id, t.text, t.name, count(*) AS anomalies,
       count(*) FILTER (WHERE NOT is_anomalous) AS judged_false,
       count(*) FILTER (WHERE is_anomalous) AS judged_true,
       count(a.muted_by) AS muted,
       count(*) FILTER (WHERE NOT is_anomalous OR muted_by IS NOT NULL)::double precision
           / count(*) AS noisy_share
FROM {SCHEMA}.judged_anomalies AS a
CROSS JOIN LATERAL (SELECT DISTINCT unnest({NAMED})) AS named (template_id)
JOIN {SCHEMA}.template_catalogue AS t
    ON t.template_id = named.template_id AND t.source = a.source
GROUP BY a.source, t.template_id
HAVING bool_or(NOT is_anomalous OR muted_by IS NOT NULL)
ORDER BY count(*) FILTER (WHERE NOT is_anomalous OR muted_by IS NOT NULL) DESC, t.template_id
"""
HEALTH = f"""
CREATE VIEW {SCHEMA}.source_health AS
WITH ingests AS (
    SELECT source, max(ingested_at) AS last_ingest_at, max(last_event_utc) AS last_event_utc
    FROM {SCHEMA}.events_ledger GROUP BY source
), shares AS (
    SELECT o.source, sum(lines_quarantined)::double precision / nullif(sum(lines_read), 0)
        AS quarantined_share
    FROM {SCHEMA}.events_ledger AS o JOIN ingests AS i USING (source)
    WHERE o.ingested_at > i.last_ingest_at - interval '1 day' GROUP BY o.source
), nights AS (
    SELECT DISTINCT ON (source) source, interval_start, interval_end, scored_at, windows,
           model_name, model_version
    FROM {SCHEMA}.latest_scorings ORDER BY source, interval_start DESC, interval_end DESC
), found AS (
    SELECT source, interval_start, interval_end, count(*) FILTER (WHERE muted_by IS NULL)
        AS anomalies, count(muted_by) AS muted
    FROM {SCHEMA}.current_anomalies JOIN nights USING (source, interval_start, interval_end)
    GROUP BY source, interval_start, interval_end
), measured AS (
    SELECT source, day, string_agg(measure || ': ' || reason, '; ' ORDER BY measure)
        FILTER (WHERE is_past) AS past_bounds
    FROM {SCHEMA}.monitoring
    JOIN (SELECT source, max(day) AS day FROM {SCHEMA}.monitoring GROUP BY source) AS newest
        USING (source, day)
    GROUP BY source, day
)
SELECT source, last_ingest_at, last_event_utc, quarantined_share, interval_start AS last_night,
       scored_at, windows, coalesce(anomalies, 0) AS anomalies, coalesce(muted, 0) AS muted,
       model_name, model_version, day AS measured_day, past_bounds
FROM (
    SELECT source FROM {SCHEMA}.sources
    UNION SELECT source FROM ingests
    UNION SELECT source FROM nights
) AS known
LEFT JOIN ingests USING (source)
LEFT JOIN shares USING (source)
LEFT JOIN nights USING (source)
LEFT JOIN found USING (source, interval_start, interval_end)
LEFT JOIN measured USING (source)
ORDER BY source
"""
NIGHTS = f"""
CREATE VIEW {SCHEMA}.nights AS
SELECT c.interval_start AS night, c.source, c.state, c.reason, c.windows,
       count(a.window_id) FILTER (WHERE a.muted_by IS NULL) AS anomalies,
       count(a.muted_by) AS muted, c.objects_expected, c.objects_arrived, c.objects_late,
       c.objects_set_aside, c.lines_read, c.events, c.lines_quarantined, c.verdict, c.unseen_share
FROM {SCHEMA}.coverage AS c
LEFT JOIN {SCHEMA}.current_anomalies AS a USING (source, interval_start, interval_end)
GROUP BY c.source, c.interval_start, c.interval_end
ORDER BY c.interval_start DESC, c.source
"""
SECOND_OPINIONS = f"""
CREATE VIEW {SCHEMA}.second_opinions AS
WITH pairs AS (
    SELECT source, interval_start, interval_end,
           (l.model_name, l.model_version, l.catalogue_version) AS first, l.model_version,
           (o.model_name, o.model_version, o.catalogue_version) AS other,
           o.model_version AS other_version
    FROM {SCHEMA}.latest_scorings AS l
    JOIN {SCHEMA}.scorings AS o USING (source, interval_start, interval_end)
    WHERE (l.model_name, l.model_version, l.catalogue_version)
        <> (o.model_name, o.model_version, o.catalogue_version)
), said AS (
    SELECT p.*, a.window_id, a.session_key, a.window_start, a.score, a.reason,
           (a.model_name, a.model_version, a.catalogue_version) = p.first AS is_first
    FROM pairs AS p JOIN {SCHEMA}.anomalies AS a USING (source, interval_start, interval_end)
    WHERE (a.model_name, a.model_version, a.catalogue_version) IN (p.first, p.other)
)
SELECT interval_start AS night, source, min(window_start) AS time, min(session_key) AS session,
       model_version, max(score) FILTER (WHERE is_first) AS score,
       max(reason) FILTER (WHERE is_first) AS reason,
       other_version, max(score) FILTER (WHERE NOT is_first) AS other_score,
       max(reason) FILTER (WHERE NOT is_first) AS other_reason, window_id
FROM said
GROUP BY source, interval_start, interval_end, first, other, model_version, other_version,
         window_id
"""
LINES = f"""
CREATE VIEW {SCHEMA}.anomaly_lines AS
SELECT a.source, a.interval_start AS night, a.window_id, a.session_key AS session, a.reason,
       l.place, l.line ->> 'object_key' AS object_key,
       (l.line ->> 'line_number')::bigint AS line_number
FROM {SCHEMA}.current_anomalies AS a
CROSS JOIN LATERAL jsonb_array_elements(a.lines) WITH ORDINALITY AS l (line, place)
"""
QUARANTINED = f"""
CREATE VIEW {SCHEMA}.quarantined_lines AS
SELECT o.source, (o.ingested_at AT TIME ZONE 'UTC')::date AS day, r.reason,
       sum(r.lines::bigint)::bigint AS lines, count(*) AS objects,
       min(o.object_key) AS example_object
FROM {SCHEMA}.events_ledger AS o
CROSS JOIN LATERAL jsonb_each_text(o.quarantine_reasons) AS r (reason, lines)
WHERE o.state <> 'superseded'
GROUP BY o.source, day, r.reason
"""
HISTORY = f"""
CREATE VIEW {SCHEMA}.promotion_history AS
SELECT decided_at, source, version, family, outcome, decided_by, reason, champion_before, figure,
       challenger_figure, champion_figure, rules_figure, difference_low, difference_high, policy,
       note
FROM {SCHEMA}.promotions
ORDER BY decided_at DESC, promotion_id DESC
"""
NIGHT = "Start of the scored interval"
SESSION = "The session, where windows are sessions"
# definition, meaning, the table that says what columns of the same name are, the others
VIEWS = {
    "noisy_templates": (
        NOISY,
        "Templates named in anomalies that people call false or have muted; the worst first",
        "template_catalogue",
        {
            "anomalies": "Anomalies whose kind names it",
            "judged_false": "Of these, called normal in labels or feedback",
            "judged_true": "Of these, called anomalous",
            "muted": "Of these, muted",
            "noisy_share": "Share of them that is called normal or muted, or both",
        },
    ),
    "source_health": (
        HEALTH,
        "How each source is, in a row: what came in, what was scored, what monitoring says",
        "scorings",
        {
            "last_ingest_at": "When an object of it was last read",
            "last_event_utc": "Its latest event time",
            "quarantined_share": "Of the lines read in the day up to the last ingest, the share "
            "that did not parse",
            "last_night": "Start of the newest scored interval",
            "scored_at": "When that was scored",
            "anomalies": "Anomalies in it, without muted ones",
            "muted": "Muted anomalies in it",
            "measured_day": "The last day that monitoring measured",
            "past_bounds": "The measures of that day which are past their bounds, with the reason; "
            "null where none is",
        },
    ),
    "nights": (
        NIGHTS,
        "What each night rests on, and what was found in it: no anomalies is not no logs",
        "coverage",
        {
            "night": NIGHT,
            "anomalies": "Anomalies in it, without muted ones",
            "muted": "Muted anomalies in it",
        },
    ),
    "second_opinions": (
        SECOND_OPINIONS,
        "Windows of intervals that were scored more than once: what the judgement of the night "
        "says, beside what each other scoring says",
        "anomalies",
        {
            "night": NIGHT,
            "session": SESSION,
            "time": "First event of the window, or start of its time",
            "model_version": "The version that judges the night",
            "score": "Its score; null where it does not flag the window",
            "reason": "Why, in words; null likewise",
            "other_version": "The version of the other scoring, or the same with other templates",
            "other_score": "Its score; null where it does not flag the window",
            "other_reason": "Why, in words; null likewise",
        },
    ),
    "anomaly_lines": (
        LINES,
        "The addresses of the lines behind each anomaly",
        "anomalies",
        {
            "night": NIGHT,
            "session": SESSION,
            "place": "Its place among the lines of the anomaly, from 1",
            "object_key": "Key in the bucket of raw logs",
            "line_number": "The line in the object, from 1",
        },
    ),
    "quarantined_lines": (
        QUARANTINED,
        "Lines that did not parse, by the day of their ingest and the reason",
        "events_ledger",
        {
            "day": "UTC day that they were read on",
            "reason": "Why they did not parse",
            "lines": "How many",
            "objects": "Objects that they are in",
            "example_object": "One of these",
        },
    ),
    "promotion_history": (
        HISTORY,
        "What the gate said of each challenger, and what became of it; the newest first",
        "promotions",
        {},
    ),
}


def upgrade() -> None:
    for view, (definition, meaning, table, columns) in VIEWS.items():
        op.execute(definition)
        comment_on_view(view, meaning, table, columns)


def downgrade() -> None:
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW {SCHEMA}.{view}")
