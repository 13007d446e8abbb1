"""tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "events_ledger",
        sa.Column("object_id", sa.Text(), nullable=False, comment="Hash of source, key and ETag"),
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("object_key", sa.Text(), nullable=False, comment="Key in the bucket of raw logs"),
        sa.Column(
            "etag", sa.Text(), nullable=False, comment="ETag: with the key it names the content"
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Size as stored"),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="ingested: visible in the lake; set_aside: refused whole, see reason; "
            "superseded: a newer version of the same key took its place",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it was set aside"),
        sa.Column("lines_read", sa.BigInteger(), nullable=False, comment="Lines in the object"),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="Log records"),
        sa.Column(
            "lines_continued",
            sa.BigInteger(),
            nullable=False,
            comment="Lines that continue a record, and blank ones",
        ),
        sa.Column(
            "lines_quarantined", sa.BigInteger(), nullable=False, comment="Lines that did not parse"
        ),
        sa.Column(
            "quarantine_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Quarantined lines by reason",
        ),
        sa.Column(
            "severities",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Events by severity",
        ),
        sa.Column(
            "first_event_utc",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Earliest event time",
        ),
        sa.Column(
            "last_event_utc", sa.DateTime(timezone=True), nullable=True, comment="Latest event time"
        ),
        sa.Column("batch_id", sa.Text(), nullable=False, comment="The batch that it was read in"),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was committed",
        ),
        sa.CheckConstraint(
            "state IN ('ingested', 'set_aside', 'superseded')", name=op.f("ck_events_ledger_state")
        ),
        sa.CheckConstraint(
            "lines_read = events + lines_continued + lines_quarantined",
            name=op.f("ck_events_ledger_nothing_lost"),
        ),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_events_ledger")),
        sa.UniqueConstraint(
            "source", "object_key", "etag", name=op.f("uq_events_ledger_source_object_key_etag")
        ),
        schema="loganalyzer",
        comment="One row for each version of an object that was read: nothing lost, nothing twice",
    )
    op.create_index(
        "uq_events_ledger_visible",
        "events_ledger",
        ["source", "object_key"],
        unique=True,
        schema="loganalyzer",
        postgresql_where=sa.text("state = 'ingested'"),
    )
    op.create_table(
        "labels",
        sa.Column(
            "label_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Row number",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("session_key", sa.Text(), nullable=True, comment="The session it speaks of"),
        sa.Column(
            "starts_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Start of the interval it speaks of",
        ),
        sa.Column(
            "ends_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="End of the interval, exclusive",
        ),
        sa.Column("is_anomalous", sa.Boolean(), nullable=False, comment="The verdict"),
        sa.Column("author", sa.Text(), nullable=False, comment="Who says so"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why"),
        sa.Column(
            "imported_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When",
        ),
        sa.CheckConstraint(
            "(starts_at IS NULL) = (ends_at IS NULL) AND starts_at < ends_at",
            name=op.f("ck_labels_interval"),
        ),
        sa.CheckConstraint(
            "session_key IS NOT NULL OR starts_at IS NOT NULL", name=op.f("ck_labels_speaks")
        ),
        sa.PrimaryKeyConstraint("label_id", name=op.f("pk_labels")),
        sa.UniqueConstraint(
            "source",
            "session_key",
            "starts_at",
            "ends_at",
            name=op.f("uq_labels_source_session_key_starts_at_ends_at"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="loganalyzer",
        comment="What people know: sessions or intervals that are anomalous or normal",
    )
    op.create_table(
        "scorings",
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column(
            "interval_start",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Windows that closed after this",
        ),
        sa.Column(
            "interval_end", sa.DateTime(timezone=True), nullable=False, comment="and not after this"
        ),
        sa.Column("model_name", sa.Text(), nullable=False, comment="Registered model"),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Its version"),
        sa.Column("detector", sa.Text(), nullable=False, comment="Detector family"),
        sa.Column("windows", sa.BigInteger(), nullable=False, comment="Windows judged"),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="Events in them"),
        sa.Column("anomalies", sa.BigInteger(), nullable=False, comment="Windows flagged"),
        sa.Column("threshold", sa.Double(), nullable=False, comment="Scores above it are flagged"),
        sa.Column(
            "scored_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the rows last changed",
        ),
        sa.PrimaryKeyConstraint(
            "source",
            "interval_start",
            "interval_end",
            "model_name",
            "model_version",
            name=op.f("pk_scorings"),
        ),
        schema="loganalyzer",
        comment="One row for each interval that a model judged, with or without anomalies",
    )
    op.create_table(
        "templates",
        sa.Column(
            "template_id", sa.Text(), nullable=False, comment="Hash of source and first text"
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("text", sa.Text(), nullable=False, comment="For people: variable parts as <*>"),
        sa.Column("body", sa.Text(), nullable=False, comment="For the program: the exact form"),
        sa.Column(
            "replaced_by", sa.Text(), nullable=True, comment="The template that it was merged into"
        ),
        sa.Column(
            "version", sa.BigInteger(), nullable=False, comment="Grows when the template is widened"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was mined",
        ),
        sa.PrimaryKeyConstraint("template_id", name=op.f("pk_templates")),
        schema="loganalyzer",
        comment="The template catalogue; an id never changes its meaning",
    )
    op.create_index(
        op.f("ix_templates_source"), "templates", ["source"], unique=False, schema="loganalyzer"
    )
    op.create_table(
        "validations",
        sa.Column(
            "validation_id",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Row number",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("batch_id", sa.Text(), nullable=False, comment="The batch that was checked"),
        sa.Column(
            "object_id", sa.Text(), nullable=False, comment="The object version that was checked"
        ),
        sa.Column("object_key", sa.Text(), nullable=False, comment="Key in the bucket of raw logs"),
        sa.Column("layer", sa.Text(), nullable=False, comment="parsed or events"),
        sa.Column("expectation", sa.Text(), nullable=False, comment="What was expected, by name"),
        sa.Column(
            "severity",
            sa.Text(),
            nullable=False,
            comment="critical: sets the object aside; warning: is only told",
        ),
        sa.Column("passed", sa.Boolean(), nullable=False, comment="Whether it held"),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="What was expected and found, in words"
        ),
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When",
        ),
        sa.PrimaryKeyConstraint("validation_id", name=op.f("pk_validations")),
        sa.UniqueConstraint(
            "object_id",
            "layer",
            "expectation",
            name=op.f("uq_validations_object_id_layer_expectation"),
        ),
        schema="loganalyzer",
        comment="What the data checks found, one row for each object and expectation",
    )
    op.create_table(
        "anomalies",
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column(
            "interval_start",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The scored interval",
        ),
        sa.Column(
            "interval_end", sa.DateTime(timezone=True), nullable=False, comment="and its end"
        ),
        sa.Column("model_name", sa.Text(), nullable=False, comment="Registered model"),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Its version"),
        sa.Column("window_id", sa.Text(), nullable=False, comment="The window"),
        sa.Column(
            "session_key",
            sa.Text(),
            nullable=True,
            comment="The session, where windows are sessions",
        ),
        sa.Column(
            "window_start",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="First event of the window, or start of its time",
        ),
        sa.Column(
            "window_end",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Last event of the window",
        ),
        sa.Column("score", sa.Double(), nullable=False, comment="High is anomalous"),
        sa.Column("threshold", sa.Double(), nullable=False, comment="What the score was above"),
        sa.Column(
            "severity",
            sa.Text(),
            nullable=False,
            comment="low, medium, high or critical: how odd next to the oddest normal window",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in words"),
        sa.Column(
            "explanation",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The findings, with their shares",
        ),
        sa.Column(
            "lines",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Addresses: object_key and line_number",
        ),
        sa.Column("detector", sa.Text(), nullable=False, comment="Detector family"),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="Events in the window"),
        sa.CheckConstraint(
            "severity IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_anomalies_severity")
        ),
        sa.ForeignKeyConstraint(
            ["source", "interval_start", "interval_end", "model_name", "model_version"],
            [
                "loganalyzer.scorings.source",
                "loganalyzer.scorings.interval_start",
                "loganalyzer.scorings.interval_end",
                "loganalyzer.scorings.model_name",
                "loganalyzer.scorings.model_version",
            ],
            name="fk_anomalies_scoring",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "source",
            "interval_start",
            "interval_end",
            "model_name",
            "model_version",
            "window_id",
            name=op.f("pk_anomalies"),
        ),
        schema="loganalyzer",
        comment="The product: each row is a window worth reading, with the reason",
    )
    op.create_index(
        op.f("ix_anomalies_window_start"),
        "anomalies",
        ["window_start"],
        unique=False,
        schema="loganalyzer",
    )
    op.create_table(
        "lake_parts",
        sa.Column("path", sa.Text(), nullable=False, comment="Key in the bucket of the lake"),
        sa.Column(
            "object_id",
            sa.Text(),
            nullable=False,
            comment="The object version that the events come from",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column(
            "hour_utc",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Hour that all its events lie in",
        ),
        sa.Column("events", sa.BigInteger(), nullable=False, comment="Events in the file"),
        sa.ForeignKeyConstraint(
            ["object_id"],
            ["loganalyzer.events_ledger.object_id"],
            name=op.f("fk_lake_parts_object_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_lake_parts")),
        schema="loganalyzer",
        comment="The Parquet files of ingested objects: what readers of the lake see",
    )
    op.create_index(
        op.f("ix_lake_parts_object_id"),
        "lake_parts",
        ["object_id"],
        unique=False,
        schema="loganalyzer",
    )
    op.create_index(
        op.f("ix_lake_parts_source_hour_utc"),
        "lake_parts",
        ["source", "hour_utc"],
        unique=False,
        schema="loganalyzer",
    )
    op.create_table(
        "template_counts",
        sa.Column("object_id", sa.Text(), nullable=False, comment="The object version"),
        sa.Column("template_id", sa.Text(), nullable=False, comment="The template"),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="Events"),
        sa.Column(
            "first_seen_utc",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Earliest event time",
        ),
        sa.Column(
            "last_seen_utc", sa.DateTime(timezone=True), nullable=False, comment="Latest event time"
        ),
        sa.Column(
            "example_line_number",
            sa.BigInteger(),
            nullable=False,
            comment="A line of the object that shows it",
        ),
        sa.ForeignKeyConstraint(
            ["object_id"],
            ["loganalyzer.events_ledger.object_id"],
            name=op.f("fk_template_counts_object_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("object_id", "template_id", name=op.f("pk_template_counts")),
        schema="loganalyzer",
        comment="Events of each template in each object; the view template_usage adds up",
    )
    op.create_index(
        op.f("ix_template_counts_template_id"),
        "template_counts",
        ["template_id"],
        unique=False,
        schema="loganalyzer",
    )


def downgrade() -> None:
    op.drop_index(
        op.f("ix_template_counts_template_id"), table_name="template_counts", schema="loganalyzer"
    )
    op.drop_table("template_counts", schema="loganalyzer")
    op.drop_index(
        op.f("ix_lake_parts_source_hour_utc"), table_name="lake_parts", schema="loganalyzer"
    )
    op.drop_index(op.f("ix_lake_parts_object_id"), table_name="lake_parts", schema="loganalyzer")
    op.drop_table("lake_parts", schema="loganalyzer")
    op.drop_index(op.f("ix_anomalies_window_start"), table_name="anomalies", schema="loganalyzer")
    op.drop_table("anomalies", schema="loganalyzer")
    op.drop_table("validations", schema="loganalyzer")
    op.drop_index(op.f("ix_templates_source"), table_name="templates", schema="loganalyzer")
    op.drop_table("templates", schema="loganalyzer")
    op.drop_table("scorings", schema="loganalyzer")
    op.drop_table("labels", schema="loganalyzer")
    op.drop_index("uq_events_ledger_visible", table_name="events_ledger", schema="loganalyzer")
    op.drop_table("events_ledger", schema="loganalyzer")
