"""What each night rests on, and which sources there are."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = "loganalyzer"
TEXT, MOMENT, COUNT = sa.Text(), sa.DateTime(timezone=True), sa.BigInteger()
# name, type, whether it may be null, what it says
COVERAGE = [
    ("source", TEXT, False, "Name of the log source"),
    ("interval_start", MOMENT, False, "The night: the interval to score"),
    ("interval_end", MOMENT, False, "and its end"),
    (
        "objects_expected",
        COUNT,
        True,
        "Objects with events on a day, the median of the 28 days before; null where fewer than 7 "
        "of them had any",
    ),
    ("objects_arrived", COUNT, False, "Objects with events of the night"),
    ("objects_late", COUNT, False, "Of these, those that arrived after it was first scored"),
    ("objects_set_aside", COUNT, False, "Objects refused whole by the data checks that night"),
    ("lines_read", COUNT, False, "Lines of the objects whose first event is of the night"),
    ("events", COUNT, False, "Log records of the night"),
    ("lines_quarantined", COUNT, False, "Of the lines read, those that did not parse"),
    (
        "verdict",
        TEXT,
        False,
        "What the data checks say of these objects: passed, warned, refused (some), or unchecked",
    ),
    (
        "unseen_share",
        sa.Double(),
        True,
        "Share of the judged events in templates that the model has never seen; null without a "
        "model or events",
    ),
    ("windows", COUNT, False, "Windows that were judged"),
    ("anomalies", COUNT, False, "Of these, those that were flagged"),
    (
        "state",
        TEXT,
        False,
        "scored: all that arrived was judged; partly: objects were set aside; not_scored",
    ),
    ("reason", TEXT, False, "The same in words: no anomalies is not no logs"),
    ("objects_seen", TEXT, False, "Hash of the objects that the windows were made of"),
    ("first_scored_at", MOMENT, True, "When it was scored for the first time"),
]
SOURCES = [
    ("source", TEXT, False, "Name of the log source"),
    ("prefix", TEXT, False, "Where its objects lie in the bucket of raw logs"),
    ("format", TEXT, False, "Preset of the line format, or custom"),
    ("windowing", TEXT, False, "session, time or count"),
    ("description", TEXT, False, "Its file, as YAML"),
]
MEASURES = "unseen_templates, template_drift, score_drift, champion_age, false_alerts, "
MEASURES_BEFORE = MEASURES + "volume or parse_failures"
MEASURES_AFTER = MEASURES + "alert_budget, volume or parse_failures"


def upgrade() -> None:
    op.alter_column("monitoring", "measure", comment=MEASURES_AFTER, schema=SCHEMA)
    _create(
        "coverage",
        COVERAGE,
        ["source", "interval_start", "interval_end"],
        "What the judgement of each source and night rests on",
        sa.CheckConstraint(
            "state IN ('scored', 'partly', 'not_scored')", name=op.f("ck_coverage_state")
        ),
    )
    _create("sources", SOURCES, ["source"], "The log sources, as their files said last")


def downgrade() -> None:
    op.alter_column("monitoring", "measure", comment=MEASURES_BEFORE, schema=SCHEMA)
    op.drop_table("sources", schema=SCHEMA)
    op.drop_table("coverage", schema=SCHEMA)


def _create(
    table: str,
    columns: list[tuple[str, sa.types.TypeEngine, bool, str]],
    key: list[str],
    comment: str,
    *constraints: sa.Constraint,
) -> None:
    op.create_table(
        table,
        *(
            sa.Column(name, kind, nullable=nullable, comment=meaning)
            for name, kind, nullable, meaning in columns
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
        *constraints,
        schema=SCHEMA,
        comment=comment,
    )
