"""Incidents: anomalies that are alike and near in time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from include.database.view_comments import comment_on_view

revision = "0010"
down_revision = "0009"

SCHEMA = "loganalyzer"
OPEN_INCIDENTS = """
CREATE VIEW loganalyzer.open_incidents AS
SELECT severity, title, state, sources, started_at, ended_at, anomalies, sessions, reason, score,
       first_night, last_night, alerted_at, incident_id
FROM loganalyzer.incidents
WHERE state IN ('open', 'ongoing')
ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], severity), score DESC,
         incident_id
"""
MEANING = "Incidents that nobody has resolved and that may still go on, the worst first"
TEXT, MOMENT = sa.Text(), sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "incidents",
        _column("incident_id", TEXT, "Of the night and window that founded it"),
        _column("title", TEXT, "What happened, in a line"),
        _column("reason", TEXT, "Why its oddest anomaly is one, in words"),
        _column("signature", TEXT, "The kind of the anomaly that founded it"),
        _column(
            "sources", postgresql.ARRAY(sa.Text()), "Names of the log sources that it came in"
        ),
        _column("started_at", MOMENT, "Start of its earliest window"),
        _column("ended_at", MOMENT, "End of its latest window"),
        _column("first_night", MOMENT, "Start of the scored interval that it came first in"),
        _column("last_night", MOMENT, "and of the one that it came last in"),
        _column("anomalies", sa.BigInteger(), "How many; 0 where none of them stands any more"),
        _column("sessions", sa.BigInteger(), "Sessions among them"),
        _column(
            "severity",
            TEXT,
            "low, medium, high or critical: by score, novelty, breadth and log level",
        ),
        _column("score", sa.Double(), "The highest of its anomalies"),
        _column(
            "component", TEXT, "What logs the lines of the anomaly that founded it", nullable=True
        ),
        _column("level", TEXT, "The worst log level of these lines", nullable=True),
        _column(
            "state",
            TEXT,
            "open; ongoing: it came on later nights too; resolved: a person said so; expired: "
            "nothing of it for seven nights, or none of its anomalies stands any more",
        ),
        _column("resolved_by", TEXT, "Who said that it is over", nullable=True),
        _column("resolved_at", MOMENT, "When", nullable=True),
        _column("resolved_reason", TEXT, "Why", nullable=True),
        _column(
            "resolved_night",
            MOMENT,
            "Its last night then: what is alike and comes later founds another incident",
            nullable=True,
        ),
        _column("alerted_at", MOMENT, "When people were told, once and for all", nullable=True),
        sa.Column(
            "updated_at",
            MOMENT,
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the row last changed",
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
        sa.CheckConstraint(
            "severity IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_incidents_severity")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'ongoing', 'resolved', 'expired')", name=op.f("ck_incidents_state")
        ),
        sa.CheckConstraint(
            "num_nulls(resolved_by, resolved_at, resolved_reason, resolved_night) IN (0, 4)",
            name=op.f("ck_incidents_resolved"),
        ),
        schema=SCHEMA,
        comment="Anomalies that are alike and near in time, told as one",
    )
    op.create_index("ix_incidents_last_night", "incidents", ["last_night"], schema=SCHEMA)
    # No foreign key to the anomalies: their months are dropped without asking incidents.
    op.create_table(
        "incident_anomalies",
        _column("source", TEXT, "Name of the log source"),
        _column("interval_start", MOMENT, "The scored interval"),
        _column("interval_end", MOMENT, "and its end"),
        _column("model_name", TEXT, "Registered model"),
        _column("model_version", TEXT, "Its version"),
        _column("catalogue_version", sa.BigInteger(), "The templates that it saw"),
        _column("window_id", TEXT, "The window"),
        _column("incident_id", TEXT, "The incident"),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            [f"{SCHEMA}.incidents.incident_id"],
            name=op.f("fk_incident_anomalies_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "source",
            "interval_start",
            "interval_end",
            "model_name",
            "model_version",
            "catalogue_version",
            "window_id",
            name=op.f("pk_incident_anomalies"),
        ),
        schema=SCHEMA,
        comment="Which anomalies make an incident; each is in one at most",
    )
    for column in ("incident_id", "interval_start"):
        op.create_index(
            f"ix_incident_anomalies_{column}", "incident_anomalies", [column], schema=SCHEMA
        )
    op.execute(OPEN_INCIDENTS)
    comment_on_view("open_incidents", MEANING, "incidents")


def downgrade() -> None:
    op.execute(f"DROP VIEW {SCHEMA}.open_incidents")
    op.drop_table("incident_anomalies", schema=SCHEMA)
    op.drop_table("incidents", schema=SCHEMA)


def _column(name: str, kind: sa.types.TypeEngine, comment: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, kind, nullable=nullable, comment=comment)
