"""What people say of anomalies mutes or confirms them."""

import sqlalchemy as sa
from alembic import op

from include.database.view_comments import comment_on_view

revision = "0011"
down_revision = "0010"

SCHEMA = "loganalyzer"
VERDICT = (
    "true: a real anomaly; false: a false alarm, which mutes its kind; expected: mutes it for a "
    "time; withdrawn: takes an earlier row back"
)
# A signature is `kind:template|kind:template>template`, sorted.
NAMED = "string_to_array(translate(a.signature, '|>', '::'), ':')"
SPEAKS = "(l.starts_at IS NULL OR l.starts_at <= a.window_end AND l.ends_at > a.window_start)"

IN_FORCE = f"""
CREATE VIEW {SCHEMA}.feedback_in_force AS
SELECT feedback_id, source, verdict, signature, template_id, incident_id, window_id, first_night,
       until, author, reason, given_at
FROM {SCHEMA}.feedback AS f
WHERE verdict <> 'withdrawn'
  AND NOT EXISTS (SELECT FROM {SCHEMA}.feedback AS w WHERE w.withdraws = f.feedback_id)
"""
HOLDS = "f.first_night <= a.interval_start AND (f.until IS NULL OR a.window_start < f.until)"
# Anomalies from before there were signatures have an empty one, which is no kind. Kinds and
# templates are asked for apart: an index finds each of them.
CURRENT = f"""
CREATE OR REPLACE VIEW {SCHEMA}.current_anomalies AS
SELECT a.*, said.muted_by
FROM {SCHEMA}.anomalies AS a
JOIN {SCHEMA}.latest_scorings
    USING (source, interval_start, interval_end, model_name, model_version, catalogue_version)
LEFT JOIN LATERAL (
    SELECT CASE WHEN verdict <> 'true' THEN feedback_id END AS muted_by
    FROM (
        SELECT feedback_id, verdict FROM {SCHEMA}.feedback_in_force AS f
        WHERE f.source = a.source AND f.signature = a.signature AND {HOLDS}
          AND (a.signature <> '' OR f.window_id = a.window_id)
        UNION ALL
        SELECT feedback_id, verdict FROM {SCHEMA}.feedback_in_force AS f
        WHERE f.source = a.source AND f.template_id = ANY ({NAMED}) AND {HOLDS}
    ) AS spoken
    ORDER BY feedback_id DESC LIMIT 1
) AS said ON true
"""
CURRENT_BEFORE = f"""
CREATE OR REPLACE VIEW {SCHEMA}.current_anomalies AS
SELECT a.*, NULL::bigint AS muted_by
FROM {SCHEMA}.anomalies AS a
JOIN {SCHEMA}.latest_scorings
    USING (source, interval_start, interval_end, model_name, model_version, catalogue_version)
"""
# Labels of sessions and of intervals are asked for apart: the index finds each of them. Of rates
# they say nothing, as these are judged beside the windows.
JUDGED = f"""
CREATE VIEW {SCHEMA}.judged_anomalies AS
SELECT a.source, a.interval_start AS night, a.window_id, a.session_key AS session,
       a.window_start AS time, a.signature, a.muted_by, told.is_anomalous
FROM {SCHEMA}.current_anomalies AS a CROSS JOIN LATERAL (
    SELECT bool_or(is_anomalous) AS is_anomalous FROM (
        SELECT is_anomalous FROM {SCHEMA}.labels AS l
        WHERE l.source = a.source AND l.session_key = a.session_key AND {SPEAKS}
          AND a.detector <> 'rate'
        UNION ALL
        SELECT is_anomalous FROM {SCHEMA}.labels AS l
        WHERE l.source = a.source AND l.session_key IS NULL AND {SPEAKS} AND a.detector <> 'rate'
        UNION ALL (
            SELECT verdict = 'true' FROM {SCHEMA}.feedback_in_force AS f
            WHERE f.source = a.source AND f.window_id = a.window_id AND verdict <> 'expected'
            ORDER BY feedback_id DESC LIMIT 1
        )
    ) AS said
) AS told
"""
MUTED = f"""
CREATE VIEW {SCHEMA}.muted_anomalies AS
SELECT f.source, f.author, f.verdict, f.reason, f.until, f.given_at, f.feedback_id,
       coalesce(h.anomalies, 0) AS anomalies, h.first_hidden_night, h.last_hidden_night
FROM {SCHEMA}.feedback_in_force AS f
LEFT JOIN (
    SELECT muted_by AS feedback_id, count(*) AS anomalies, min(interval_start) AS first_hidden_night,
           max(interval_start) AS last_hidden_night
    FROM {SCHEMA}.current_anomalies GROUP BY muted_by
) AS h USING (feedback_id)
WHERE f.verdict <> 'true'
ORDER BY anomalies DESC, f.feedback_id
"""
# definition, meaning, the table that says what columns of the same name are, the others
VIEWS = {
    "feedback_in_force": (
        IN_FORCE,
        "What people say of anomalies, without what was withdrawn",
        "feedback",
        {"verdict": "true: a real anomaly; false: a false alarm; expected, until a time"},
    ),
    "judged_anomalies": (
        JUDGED,
        "The anomalies of the newest scoring of each source and interval, and what people say of "
        "them in labels and feedback",
        "anomalies",
        {
            "night": "Start of the scored interval",
            "session": "The session, where windows are sessions",
            "time": "First event of the window, or start of its time",
            "muted_by": "The feedback that keeps it from alerting; null where none does",
            "is_anomalous": "True where anybody says so, false where people say that it is normal, "
            "null where nobody has judged it",
        },
    ),
    "muted_anomalies": (
        MUTED,
        "Each mute in force, and how much it has hidden",
        "feedback",
        {
            "verdict": "false or expected",
            "anomalies": "Anomalies that it hides",
            "first_hidden_night": "The earliest night with one of them",
            "last_hidden_night": "The latest",
        },
    ),
}

# The anomalies that a person speaks of, one row each; of a template one row without a window.
SUBJECTS = f"""
CREATE FUNCTION {SCHEMA}.feedback_subjects(
    source text, window_id text, incident_id text, template_id text
) RETURNS TABLE (
    of_source text, of_signature text, of_template text, first_night timestamptz,
    of_window text, session_key text, window_start timestamptz, window_end timestamptz,
    detector text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF num_nonnulls(
        feedback_subjects.window_id, feedback_subjects.incident_id, feedback_subjects.template_id
    ) <> 1 THEN
        RAISE EXCEPTION 'name one of window_id, incident_id and template_id'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF feedback_subjects.incident_id IS NOT NULL THEN
        RETURN QUERY SELECT a.source, a.signature, NULL::text, a.interval_start,
                   a.window_id, a.session_key, a.window_start, a.window_end, a.detector
            FROM {SCHEMA}.anomalies AS a
            JOIN {SCHEMA}.incident_anomalies AS i USING (
                source, interval_start, interval_end, model_name, model_version,
                catalogue_version, window_id
            )
            WHERE i.incident_id = feedback_subjects.incident_id;
    ELSIF feedback_subjects.source IS NULL THEN
        RAISE EXCEPTION 'name the source' USING ERRCODE = 'invalid_parameter_value';
    ELSIF feedback_subjects.window_id IS NOT NULL THEN
        RETURN QUERY SELECT a.source, a.signature, NULL::text, a.interval_start,
                   a.window_id, a.session_key, a.window_start, a.window_end, a.detector
            FROM {SCHEMA}.current_anomalies AS a
            WHERE a.source = feedback_subjects.source
              AND a.window_id = feedback_subjects.window_id
            ORDER BY a.interval_start DESC LIMIT 1;
    ELSE
        RETURN QUERY SELECT t.source, NULL::text, t.template_id, coalesce(
                   (SELECT max(s.interval_start) FROM {SCHEMA}.latest_scorings AS s
                    WHERE s.source = t.source), now()),
                   NULL::text, NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::text
            FROM {SCHEMA}.template_catalogue AS t
            WHERE t.source = feedback_subjects.source
              AND t.template_id = feedback_subjects.template_id;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no % %', CASE
                WHEN feedback_subjects.window_id IS NOT NULL THEN 'anomaly'
                WHEN feedback_subjects.incident_id IS NOT NULL THEN 'incident'
                ELSE 'template' END,
            coalesce(feedback_subjects.window_id, feedback_subjects.incident_id,
                     feedback_subjects.template_id)
            || coalesce(' of ' || feedback_subjects.source, '')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$
"""
WOULD_HIDE = f"""
CREATE FUNCTION {SCHEMA}.would_hide(
    source text DEFAULT NULL, window_id text DEFAULT NULL, incident_id text DEFAULT NULL,
    template_id text DEFAULT NULL, nights integer DEFAULT 30,
    OUT anomalies bigint, OUT confirmed bigint, OUT told text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    WITH subjects AS MATERIALIZED (
        SELECT * FROM {SCHEMA}.feedback_subjects(
            would_hide.source, would_hide.window_id, would_hide.incident_id, would_hide.template_id
        )
    ), since AS MATERIALIZED (
        SELECT source, max(interval_start) - make_interval(days => nights) AS night
        FROM {SCHEMA}.latest_scorings WHERE source IN (SELECT of_source FROM subjects)
        GROUP BY source
    )
    SELECT count(*), count(*) FILTER (WHERE a.is_anomalous) INTO anomalies, confirmed
    FROM {SCHEMA}.judged_anomalies AS a JOIN since AS s ON s.source = a.source AND a.night > s.night
    WHERE a.muted_by IS NULL AND EXISTS (
        SELECT FROM subjects AS f WHERE f.of_source = a.source AND (
            f.of_signature = a.signature AND (a.signature <> '' OR f.of_window = a.window_id)
            OR f.of_template = ANY ({NAMED})
        )
    );
    told := format(
        '%s %s of the last %s nights, %s confirmed', anomalies,
        CASE anomalies WHEN 1 THEN 'anomaly' ELSE 'anomalies' END, nights,
        CASE confirmed WHEN 0 THEN 'none' ELSE confirmed::text END
    );
END $$
"""
# A label that is there already with the same verdict keeps its author, reason and time, and a
# golden incident stays one, as in include/database/labels.py.
GIVE = f"""
CREATE FUNCTION {SCHEMA}.give_feedback(
    verdict text, reason text, source text DEFAULT NULL, window_id text DEFAULT NULL,
    incident_id text DEFAULT NULL, template_id text DEFAULT NULL,
    until timestamptz DEFAULT NULL, author text DEFAULT session_user
) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    golden text;
    moment timestamptz := clock_timestamp();
BEGIN
    IF coalesce(give_feedback.verdict, '') NOT IN ('true', 'false', 'expected') THEN
        RAISE EXCEPTION 'no verdict %: expected true, false or expected',
            coalesce(quote_literal(give_feedback.verdict), 'at all')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF (give_feedback.verdict = 'expected') <> (give_feedback.until IS NOT NULL) THEN
        RAISE EXCEPTION 'say until when it is expected, and only then'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(btrim(give_feedback.reason), '') = ''
        OR coalesce(btrim(give_feedback.author), '') = '' THEN
        RAISE EXCEPTION 'a reason and an author are needed'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF give_feedback.verdict = 'false' THEN
        SELECT coalesce(a.session_key, a.of_window) INTO golden
        FROM {SCHEMA}.feedback_subjects(
            give_feedback.source, give_feedback.window_id, give_feedback.incident_id,
            give_feedback.template_id
        ) AS a
        JOIN {SCHEMA}.labels AS l ON l.source = a.of_source AND l.golden
            AND (l.session_key IS NULL OR l.session_key = a.session_key) AND {SPEAKS}
        WHERE a.detector <> 'rate' LIMIT 1;
        IF golden IS NOT NULL THEN
            RAISE EXCEPTION '% is a golden incident and cannot be called false: where it was '
                'confirmed by mistake, set golden to false in the table {SCHEMA}.labels first',
                golden USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END IF;
    IF give_feedback.verdict <> 'true' THEN
        RAISE NOTICE 'this mutes what would have hidden %', (
            SELECT told FROM {SCHEMA}.would_hide(
                give_feedback.source, give_feedback.window_id, give_feedback.incident_id,
                give_feedback.template_id
            )
        );
    END IF;
    IF give_feedback.verdict <> 'expected' THEN
        INSERT INTO {SCHEMA}.labels AS l
            (source, session_key, starts_at, ends_at, is_anomalous, author, reason, imported_at)
        SELECT DISTINCT a.of_source, a.session_key,
               CASE WHEN a.session_key IS NULL THEN a.window_start END,
               CASE WHEN a.session_key IS NULL THEN a.window_end + interval '1 microsecond' END,
               give_feedback.verdict = 'true', give_feedback.author, give_feedback.reason, moment
        FROM {SCHEMA}.feedback_subjects(
            give_feedback.source, give_feedback.window_id, give_feedback.incident_id,
            give_feedback.template_id
        ) AS a
        WHERE a.detector <> 'rate'
        ON CONFLICT (source, session_key, starts_at, ends_at) DO UPDATE SET
            is_anomalous = EXCLUDED.is_anomalous, author = EXCLUDED.author,
            reason = EXCLUDED.reason, imported_at = moment
        WHERE l.is_anomalous <> EXCLUDED.is_anomalous;
    END IF;
    RETURN QUERY INSERT INTO {SCHEMA}.feedback (
        source, verdict, signature, template_id, incident_id, window_id, first_night, until,
        author, reason, login, given_at
    )
    SELECT s.of_source, give_feedback.verdict, s.of_signature, s.of_template,
           give_feedback.incident_id, give_feedback.window_id, min(s.first_night),
           give_feedback.until, give_feedback.author, give_feedback.reason, session_user,
           moment
    FROM {SCHEMA}.feedback_subjects(
        give_feedback.source, give_feedback.window_id, give_feedback.incident_id,
        give_feedback.template_id
    ) AS s
    GROUP BY s.of_source, s.of_signature, s.of_template
    ORDER BY s.of_source, s.of_signature
    RETURNING feedback_id;
END $$
"""
# What was said in one stroke has one moment, author and reason, and so have the labels of it.
WITHDRAW = f"""
CREATE FUNCTION {SCHEMA}.withdraw_feedback(
    feedback_id bigint, reason text, author text DEFAULT session_user
) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE said {SCHEMA}.feedback_in_force;
BEGIN
    IF coalesce(btrim(withdraw_feedback.reason), '') = ''
        OR coalesce(btrim(withdraw_feedback.author), '') = '' THEN
        RAISE EXCEPTION 'a reason and an author are needed'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Two who withdraw the same wait for each other, and the second finds nothing.
    LOCK TABLE {SCHEMA}.feedback IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO said FROM {SCHEMA}.feedback_in_force AS f
    WHERE f.feedback_id = withdraw_feedback.feedback_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no feedback % is in force', withdraw_feedback.feedback_id
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM {SCHEMA}.labels AS l
    WHERE NOT l.golden AND l.imported_at = said.given_at AND l.author = said.author
      AND l.reason = said.reason AND l.is_anomalous = (said.verdict = 'true')
      AND said.template_id IS NULL;
    RETURN QUERY INSERT INTO {SCHEMA}.feedback (
        source, verdict, signature, template_id, incident_id, window_id, first_night, withdraws,
        author, reason, login
    )
    SELECT f.source, 'withdrawn', f.signature, f.template_id, f.incident_id, f.window_id,
           f.first_night, f.feedback_id, withdraw_feedback.author, withdraw_feedback.reason,
           session_user
    FROM {SCHEMA}.feedback_in_force AS f
    WHERE f.feedback_id = said.feedback_id
       OR f.incident_id = said.incident_id AND f.given_at = said.given_at
    ORDER BY f.feedback_id
    RETURNING feedback_id;
END $$
"""
FUNCTIONS = {
    "feedback_subjects": (SUBJECTS, "The anomalies that a feedback speaks of"),
    "would_hide": (
        WOULD_HIDE,
        "What a mute would have hidden in the last nights of its sources, and how many of these "
        "people have confirmed",
    ),
    "give_feedback": (
        GIVE,
        "Say of an anomaly, an incident or a template: true, false, or expected until a time; the "
        "rows of feedback that this makes",
    ),
    "withdraw_feedback": (
        WITHDRAW,
        "Take feedback back, and the labels that it made; the rows of feedback that this makes",
    ),
}


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column(
            "feedback_id",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="Row number, in order of time",
        ),
        _text("source", "Name of the log source"),
        _text("verdict", VERDICT),
        _text("signature", "The kind of anomaly that it speaks of", nullable=True),
        _text(
            "template_id",
            "or the template: it speaks of every anomaly whose kind names it",
            nullable=True,
        ),
        _text(
            "incident_id",
            "The incident that it was said of, which has a row for each source and kind",
            nullable=True,
        ),
        _text("window_id", "The anomaly that it was said of", nullable=True),
        _moment("first_night", "It holds for intervals that start at this or later"),
        _moment(
            "until", "and for windows that start before this; null for always", nullable=True
        ),
        sa.Column(
            "withdraws", sa.BigInteger(), nullable=True, comment="The row that it takes back"
        ),
        _text("author", "Who says so"),
        _text("reason", "Why"),
        _text("login", "The role in Postgres that it was said by"),
        _moment("given_at", "When", server_default=sa.text("now()")),
        sa.CheckConstraint(
            "verdict IN ('true', 'false', 'expected', 'withdrawn')",
            name=op.f("ck_feedback_verdict"),
        ),
        sa.CheckConstraint(
            "(verdict = 'expected') = (until IS NOT NULL)", name=op.f("ck_feedback_until")
        ),
        sa.CheckConstraint(
            "(verdict = 'withdrawn') = (withdraws IS NOT NULL)", name=op.f("ck_feedback_withdraws")
        ),
        sa.CheckConstraint(
            "(signature IS NULL) <> (template_id IS NULL)", name=op.f("ck_feedback_subject")
        ),
        sa.ForeignKeyConstraint(
            ["withdraws"],
            [f"{SCHEMA}.feedback.feedback_id"],
            name=op.f("fk_feedback_withdraws"),
        ),
        sa.PrimaryKeyConstraint("feedback_id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("withdraws", name=op.f("uq_feedback_withdraws")),
        schema=SCHEMA,
        comment="What people say of anomalies, incidents and templates; rows are only ever added",
    )
    op.create_index(
        op.f("ix_feedback_source_signature"), "feedback", ["source", "signature"], schema=SCHEMA
    )
    for column in ("template_id", "window_id"):
        op.create_index(
            op.f(f"ix_feedback_source_{column}"), "feedback", ["source", column], schema=SCHEMA
        )
    for view, (definition, meaning, table, columns) in VIEWS.items():
        if view == "judged_anomalies":
            op.execute(CURRENT)
        op.execute(definition)
        comment_on_view(view, meaning, table, columns)
    for function, (definition, meaning) in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"COMMENT ON FUNCTION {SCHEMA}.{function} IS '{meaning}'")


def downgrade() -> None:
    for function in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {SCHEMA}.{function}")
    for view in reversed(VIEWS):
        if view == "feedback_in_force":
            op.execute(CURRENT_BEFORE)
        op.execute(f"DROP VIEW {SCHEMA}.{view}")
    op.drop_table("feedback", schema=SCHEMA)


def _text(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _moment(name: str, comment: str, *, nullable: bool = False, **options: object) -> sa.Column:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable, comment=comment, **options
    )
