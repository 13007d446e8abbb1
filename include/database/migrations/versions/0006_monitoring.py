"""What monitoring measured, and when it asked for a retrain."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = "loganalyzer"
MEASURES = (
    "unseen_templates, template_drift, score_drift, champion_age, false_alerts, volume or "
    "parse_failures"
)
BOUND = (
    "Values above it are past it, of volume also those below one over it; it is as wide as "
    "chance needs where little was there to measure"
)


def upgrade() -> None:
    op.create_table(
        "monitoring",
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("day", sa.Date(), nullable=False, comment="UTC day that was measured"),
        sa.Column("measure", sa.Text(), nullable=False, comment=MEASURES),
        sa.Column(
            "value",
            sa.Double(),
            nullable=True,
            comment="What was measured; null where too little is known",
        ),
        sa.Column("bound", sa.Double(), nullable=False, comment=BOUND),
        sa.Column(
            "is_past", sa.Boolean(), nullable=False, comment="Whether the value is past the bound"
        ),
        sa.Column(
            "model_version",
            sa.Text(),
            nullable=True,
            comment="Version of the champion that it was measured by",
        ),
        sa.Column(
            "rests_on",
            sa.BigInteger(),
            nullable=True,
            comment="Events, windows, lines or alerts that it rests on; null for an age",
        ),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="Value and what it rests on, in words"
        ),
        sa.Column(
            "measured_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row last changed",
        ),
        sa.PrimaryKeyConstraint("source", "day", "measure", name=op.f("pk_monitoring")),
        schema=SCHEMA,
        comment="How each source did each day, one row for each measure beside its bound",
    )
    op.create_table(
        "retrain_requests",
        sa.Column("source", sa.Text(), nullable=False, comment="Name of the log source"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False, comment="When"),
        sa.Column(
            "day",
            sa.Date(),
            nullable=False,
            comment="UTC day whose measures were past their bounds",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="These measures, in words"),
        sa.PrimaryKeyConstraint("source", "asked_at", name=op.f("pk_retrain_requests")),
        schema=SCHEMA,
        comment="When monitoring asked for a source to be retrained: at most once in 24 hours",
    )


def downgrade() -> None:
    op.drop_table("retrain_requests", schema=SCHEMA)
    op.drop_table("monitoring", schema=SCHEMA)
