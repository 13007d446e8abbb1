"""A challenger scores beside the champion, and labels name the incidents that must be found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

SCHEMA = "loganalyzer"
PAIR = ["source", "interval_start", "interval_end", "champion_version", "challenger_version"]
DISAGREEMENTS = r"""
CREATE VIEW loganalyzer.disagreements AS
WITH differing AS (
    SELECT s.*,
        CASE WHEN s.champion_score > s.champion_threshold THEN 'champion' ELSE 'challenger' END
            AS flagged_by,
        abs((s.champion_score - s.champion_threshold)
            - (s.challenger_score - s.challenger_threshold)) AS apart,
        EXISTS (
            SELECT FROM loganalyzer.labels AS l
            WHERE l.source = s.source AND l.session_key = s.session_key AND (
                l.starts_at IS NULL OR l.starts_at <= s.window_end AND l.ends_at > s.window_start
            )
        ) OR EXISTS (
            SELECT FROM loganalyzer.labels AS l
            WHERE l.source = s.source AND l.session_key IS NULL
              AND l.starts_at <= s.window_end AND l.ends_at > s.window_start
        ) AS is_judged
    FROM loganalyzer.shadow_scores AS s
    JOIN (
        SELECT DISTINCT ON (source) source, champion_version, challenger_version
        FROM loganalyzer.shadow_scorings ORDER BY source, scored_at DESC
    ) AS newest USING (source, champion_version, challenger_version)
    WHERE (s.champion_score > s.champion_threshold)
        <> (s.challenger_score > s.challenger_threshold)
), ranked AS (
    SELECT *, apart / row_number() OVER (
        PARTITION BY source, flagged_by, regexp_replace(reason, '\d+', '', 'g')
        ORDER BY is_judged DESC, apart DESC, window_start, window_id
    ) AS telling
    FROM differing
)
SELECT window_start AS time, source, session_key AS session, flagged_by, telling, apart,
       champion_score, champion_threshold, challenger_score, challenger_threshold, reason,
       window_end, lines, champion_version, challenger_version, interval_start AS night
FROM ranked WHERE NOT is_judged
ORDER BY telling DESC
"""
MEANING = (
    "Windows that exactly one of champion and challenger flags and no label speaks of: those of "
    "the newest pair of each source, in all nights that it scored, the most telling first"
)
COLUMNS = {
    "time": "First event of the window, or start of its time",
    "source": "Name of the log source",
    "session": "The session, where windows are sessions",
    "flagged_by": "champion or challenger",
    "telling": "apart, divided by its place among those with the same reason but for the numbers, "
    "where those that a label speaks of come first: the second of a kind tells half as much",
    "apart": "How far the verdicts lie apart, in powers of ten of a tail probability: the score "
    "above the threshold of the one, and below the threshold of the other, added up",
    "champion_score": "High is anomalous",
    "champion_threshold": "The champion flags scores above it",
    "challenger_score": "High is anomalous",
    "challenger_threshold": "The challenger flags scores above it",
    "reason": "Why, in words, by the one that flags it",
    "window_end": "Last event of the window",
    "lines": "Addresses: object_key and line_number",
    "champion_version": "Version of the champion",
    "challenger_version": "Version of the challenger",
    "night": "Start of the scored interval",
}


def upgrade() -> None:
    op.add_column(
        "labels",
        sa.Column(
            "golden",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="A confirmed incident, which every champion must find",
        ),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("ck_labels_golden"), "labels", "is_anomalous OR NOT golden", schema=SCHEMA
    )
    op.create_table(
        "shadow_scorings",
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
        sa.Column("champion_version", sa.Text(), nullable=False, comment="Version of the champion"),
        sa.Column(
            "challenger_version", sa.Text(), nullable=False, comment="Version of the challenger"
        ),
        sa.Column("windows", sa.BigInteger(), nullable=False, comment="Windows judged by both"),
        sa.Column(
            "flagged",
            sa.BigInteger(),
            nullable=False,
            comment="Windows that either flags, or both",
        ),
        sa.Column(
            "scored_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the rows last changed",
        ),
        sa.PrimaryKeyConstraint(*PAIR, name=op.f("pk_shadow_scorings")),
        schema=SCHEMA,
        comment="One row for each interval that a champion and a challenger both judged",
    )
    op.create_table(
        "shadow_scores",
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
        sa.Column("champion_version", sa.Text(), nullable=False, comment="Version of the champion"),
        sa.Column(
            "challenger_version", sa.Text(), nullable=False, comment="Version of the challenger"
        ),
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
        sa.Column("champion_score", sa.Double(), nullable=False, comment="High is anomalous"),
        sa.Column(
            "champion_threshold",
            sa.Double(),
            nullable=False,
            comment="The champion flags scores above it",
        ),
        sa.Column("challenger_score", sa.Double(), nullable=False, comment="High is anomalous"),
        sa.Column(
            "challenger_threshold",
            sa.Double(),
            nullable=False,
            comment="The challenger flags scores above it",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="Why, in words, by the one that flags it; by the champion where both do",
        ),
        sa.Column(
            "lines",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Addresses: object_key and line_number",
        ),
        sa.ForeignKeyConstraint(
            PAIR,
            [f"{SCHEMA}.shadow_scorings.{name}" for name in PAIR],
            name="fk_shadow_scores_scoring",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*PAIR, "window_id", name=op.f("pk_shadow_scores")),
        schema=SCHEMA,
        comment="Each row is a window that the champion, the challenger or both flag",
    )
    op.execute(DISAGREEMENTS)
    op.execute(f"COMMENT ON VIEW {SCHEMA}.disagreements IS '{MEANING}'")
    for name, meaning in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN {SCHEMA}.disagreements.{name} IS '{meaning}'")


def downgrade() -> None:
    op.execute("DROP VIEW loganalyzer.disagreements")
    op.drop_table("shadow_scores", schema=SCHEMA)
    op.drop_table("shadow_scorings", schema=SCHEMA)
    op.drop_column("labels", "golden", schema=SCHEMA)
