"""Anomalies lie in months, are told apart by the catalogue too, and keep what the model saw."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from include.database.view_comments import comment_on_view

revision = "0008"
down_revision = "0007"

SCHEMA = "loganalyzer"
# The partitions have a schema of their own, so that `\dt` lists tables and no months.
MONTHS = "loganalyzer_months"
BEFORE = ["source", "interval_start", "interval_end", "model_name", "model_version"]
AFTER = [*BEFORE, "catalogue_version"]

MAKE_MONTH = f"""
CREATE FUNCTION {SCHEMA}.make_month(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
    month timestamptz := date_trunc('month', moment);
    name text := 'anomalies_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass('{MONTHS}.' || name) IS NULL THEN
        -- Those that want the same month wait for each other and then find it.
        PERFORM pg_advisory_xact_lock(hashtextextended('{MONTHS}', 0));
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS {MONTHS}.%I PARTITION OF {SCHEMA}.anomalies '
            'FOR VALUES FROM (%L) TO (%L)', name, month, month + interval '1 month'
        );
    END IF;
END $$
"""
DROP_MONTHS = f"""
CREATE FUNCTION {SCHEMA}.drop_months_before(moment timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = '{MONTHS}'::regnamespace AND relkind = 'r'
          AND relname < 'anomalies_' || to_char(date_trunc('month', moment), 'YYYYMM')
        ORDER BY relname
    LOOP
        EXECUTE format('DROP TABLE {MONTHS}.%I', name);
        RETURN NEXT name;
    END LOOP;
END $$
"""
COMMENTS = {
    "FUNCTION make_month(timestamptz)": "Make room for the anomalies of the month of a moment",
    "FUNCTION drop_months_before(timestamptz)": "Forget the anomalies of all months that ended "
    "before the month of a moment; the names of the dropped partitions",
}
LATEST_BEFORE = f"""
CREATE VIEW {SCHEMA}.latest_scorings AS
SELECT DISTINCT ON (source, interval_start, interval_end) *
FROM {SCHEMA}.scorings
ORDER BY source, interval_start, interval_end, scored_at DESC, model_version DESC
"""
LATEST_AFTER = f"""
CREATE VIEW {SCHEMA}.latest_scorings AS
SELECT DISTINCT ON (source, interval_start, interval_end) *
FROM {SCHEMA}.scorings
WHERE NOT is_comparison
ORDER BY source, interval_start, interval_end, scored_at DESC, model_version DESC,
         catalogue_version DESC
"""
CURRENT = f"""
CREATE VIEW {SCHEMA}.current_anomalies AS
SELECT a.*, NULL::bigint AS muted_by
FROM {SCHEMA}.anomalies AS a
JOIN {SCHEMA}.latest_scorings
    USING (source, interval_start, interval_end, model_name, model_version, catalogue_version)
"""
LAST_NIGHT_BEFORE = f"""
CREATE VIEW {SCHEMA}.last_night AS
SELECT a.window_start AS time, a.source, a.session_key AS session, a.score, a.severity, a.reason,
       a.events, a.window_end, a.lines, a.detector, a.model_version, a.interval_start AS night
FROM {SCHEMA}.anomalies AS a
JOIN {SCHEMA}.latest_scorings AS s
    USING (source, interval_start, interval_end, model_name, model_version)
JOIN (
    SELECT source, max(interval_start) AS interval_start
    FROM {SCHEMA}.latest_scorings WHERE windows > 0 GROUP BY source
) AS newest USING (source, interval_start)
ORDER BY a.score DESC
"""
LAST_NIGHT_AFTER = f"""
CREATE VIEW {SCHEMA}.last_night AS
SELECT a.window_start AS time, a.source, a.session_key AS session, a.score, a.severity, a.reason,
       a.events, a.window_end, a.lines, a.detector, a.model_version, a.interval_start AS night
FROM {SCHEMA}.current_anomalies AS a
JOIN (
    SELECT source, max(interval_start) AS interval_start
    FROM {SCHEMA}.latest_scorings WHERE windows > 0 GROUP BY source
) AS newest USING (source, interval_start)
WHERE a.muted_by IS NULL
ORDER BY a.score DESC
"""
# definition, comment, the table that says what columns of the same name are, the others
VIEWS = {
    "latest_scorings": (
        "The newest scoring of each source and interval; those made to compare are left out",
        "scorings",
        {},
    ),
    "current_anomalies": (
        "The anomalies of the newest scoring of each source and interval",
        "anomalies",
        {"muted_by": "The feedback that keeps it from alerting; null where none does"},
    ),
    "last_night": (
        "Anomalies of the newest night of each source that had windows",
        "anomalies",
        {
            "time": "First event of the window, or start of its time",
            "session": "The session, where windows are sessions",
            "night": "Start of the scored interval",
        },
    ),
}


def upgrade() -> None:
    _drop_views("last_night", "latest_scorings")
    op.drop_constraint("fk_anomalies_scoring", "anomalies", schema=SCHEMA)
    op.add_column(
        "scorings",
        sa.Column(
            "catalogue_version",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="The last change to the templates of the source then; 0 before the first",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "scorings",
        sa.Column(
            "is_comparison",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="Made to see what this model says: no night, no incident and no alert rests "
            "on it",
        ),
        schema=SCHEMA,
    )
    op.alter_column("scorings", "catalogue_version", server_default=None, schema=SCHEMA)
    _key("scorings", AFTER)
    _replace_anomalies(AFTER, partitioned=True)
    for definition in (LATEST_AFTER, CURRENT, LAST_NIGHT_AFTER):
        op.execute(definition)
    for view in ("latest_scorings", "current_anomalies", "last_night"):
        comment_on_view(view, *VIEWS[view])


def downgrade() -> None:
    _drop_views("last_night", "current_anomalies", "latest_scorings")
    # Where one model scored an interval with several catalogues, the newest stays.
    op.execute(
        f"DELETE FROM {SCHEMA}.scorings AS s WHERE EXISTS (SELECT FROM {SCHEMA}.scorings AS o "
        f"WHERE ({_list('o', BEFORE)}) = ({_list('s', BEFORE)}) "
        "AND o.catalogue_version > s.catalogue_version)"
    )
    _replace_anomalies(BEFORE, partitioned=False)
    _key("scorings", BEFORE)
    op.drop_column("scorings", "is_comparison", schema=SCHEMA)
    op.drop_column("scorings", "catalogue_version", schema=SCHEMA)
    op.create_foreign_key(
        "fk_anomalies_scoring",
        "anomalies",
        "scorings",
        BEFORE,
        BEFORE,
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
        ondelete="CASCADE",
    )
    for definition in (LATEST_BEFORE, LAST_NIGHT_BEFORE):
        op.execute(definition)
    for view in ("latest_scorings", "last_night"):
        comment_on_view(view, *VIEWS[view])


def _replace_anomalies(key: list[str], *, partitioned: bool) -> None:
    """Make the table anew, with the rows that it has: no table becomes partitioned in place."""
    op.rename_table("anomalies", "anomalies_before", schema=SCHEMA)
    for kind, name in (("CONSTRAINT", "pk"), ("CONSTRAINT", "ck"), ("INDEX", "ix")):
        suffix = {"pk": "", "ck": "_severity", "ix": "_window_start"}[name]
        old = f"{name}_anomalies{suffix}"
        if kind == "INDEX":
            op.execute(f"DROP INDEX {SCHEMA}.{old}")
        else:
            op.execute(f"ALTER TABLE {SCHEMA}.anomalies_before DROP CONSTRAINT {old} CASCADE")
    seen = [
        sa.Column(
            "signature",
            sa.Text(),
            nullable=False,
            comment="Its kind: what was odd of which templates, as the reason names them; the same "
            "on every night",
        ),
        sa.Column(
            "sequence",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The templates of its events in order, as the model saw them; the first 1,000",
        ),
    ]
    op.create_table(
        "anomalies",
        *_columns(partitioned),
        *(seen if partitioned else []),
        sa.PrimaryKeyConstraint(*key, "window_id", name=op.f("pk_anomalies")),
        sa.CheckConstraint(
            "severity IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_anomalies_severity")
        ),
        *(
            [
                sa.ForeignKeyConstraint(
                    key,
                    [f"{SCHEMA}.scorings.{name}" for name in key],
                    name="fk_anomalies_scoring",
                    ondelete="CASCADE",
                )
            ]
            if partitioned
            else []
        ),
        schema=SCHEMA,
        comment="The product: each row is a window worth reading, with the reason",
        **({"postgresql_partition_by": "RANGE (interval_start)"} if partitioned else {}),
    )
    op.create_index("ix_anomalies_window_start", "anomalies", ["window_start"], schema=SCHEMA)
    names = [column.name for column in _columns(partitioned) if column.name != "catalogue_version"]
    if partitioned:
        op.execute(f"CREATE SCHEMA {MONTHS}")
        for statement in (MAKE_MONTH, DROP_MONTHS):
            op.execute(statement)
        for what, meaning in COMMENTS.items():
            kind, _, name = what.partition(" ")
            op.execute(f"COMMENT ON {kind} {SCHEMA}.{name} IS '{meaning}'")
        op.execute(
            f"SELECT {SCHEMA}.make_month(interval_start) FROM "
            f"(SELECT DISTINCT interval_start FROM {SCHEMA}.anomalies_before) AS known"
        )
    more = {"catalogue_version": "0", "signature": "''", "sequence": "'[]'"} if partitioned else {}
    op.execute(
        f"INSERT INTO {SCHEMA}.anomalies ({', '.join([*names, *more])}) "
        f"SELECT {', '.join([*names, *more.values()])} FROM {SCHEMA}.anomalies_before"
    )
    op.drop_table("anomalies_before", schema=SCHEMA)
    if not partitioned:
        op.execute(f"DROP FUNCTION {SCHEMA}.make_month, {SCHEMA}.drop_months_before")
        op.execute(f"DROP SCHEMA {MONTHS}")


def _columns(with_catalogue: bool) -> list[sa.Column]:
    text, moment, json = sa.Text(), sa.DateTime(timezone=True), postgresql.JSONB()
    columns = [
        ("source", text, "Name of the log source"),
        ("interval_start", moment, "The scored interval"),
        ("interval_end", moment, "and its end"),
        ("model_name", text, "Registered model"),
        ("model_version", text, "Its version"),
        ("catalogue_version", sa.BigInteger(), "The templates that it saw, see scorings"),
        ("window_id", text, "The window"),
        ("session_key", text, "The session, where windows are sessions"),
        ("window_start", moment, "First event of the window, or start of its time"),
        ("window_end", moment, "Last event of the window"),
        ("score", sa.Double(), "High is anomalous"),
        ("threshold", sa.Double(), "What the score was above"),
        (
            "severity",
            text,
            "low, medium, high or critical: how odd next to the oddest normal window",
        ),
        ("reason", text, "Why, in words"),
        ("explanation", json, "The findings, with their shares"),
        ("lines", json, "Addresses: object_key and line_number"),
        ("detector", text, "Detector family"),
        ("events", sa.BigInteger(), "Events in the window"),
    ]
    return [
        sa.Column(name, kind, nullable=name == "session_key", comment=comment)
        for name, kind, comment in columns
        if with_catalogue or name != "catalogue_version"
    ]


def _key(table: str, columns: list[str]) -> None:
    op.drop_constraint(op.f(f"pk_{table}"), table, schema=SCHEMA)
    op.create_primary_key(op.f(f"pk_{table}"), table, columns, schema=SCHEMA)


def _drop_views(*names: str) -> None:
    for name in names:
        op.execute(f"DROP VIEW {SCHEMA}.{name}")


def _list(table: str, names: list[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)
