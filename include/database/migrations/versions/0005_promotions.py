"""What the gate said of each challenger and what became of it; a schema for the studies of tuning."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

SCHEMA = "loganalyzer"
MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.Double()
# name, type, whether it may be null, and what it is
COLUMNS = (
    ("source", sa.Text(), False, "Name of the log source"),
    ("dag_run_id", sa.Text(), False, "The DAG run that it came from, or who rolled back when"),
    ("model_name", sa.Text(), False, "Registered model"),
    ("version", sa.Text(), False, "The version that was judged, or rolled back to"),
    ("family", sa.Text(), False, "Its detector family"),
    ("champion_before", sa.Text(), True, "The version that was champion then"),
    ("mlflow_run_id", sa.Text(), False, "The run in MLflow that holds its figures"),
    ("figure", sa.Text(), True, "What was compared: average precision, or recall at the budget"),
    ("challenger_figure", NUMBER, True, "Of this version, on the later period"),
    ("champion_figure", NUMBER, True, "Of the champion, on the same windows"),
    ("rules_figure", NUMBER, True, "Of the best plain rule, on the same windows"),
    ("difference_low", NUMBER, True, "95 % of the draws of the difference lie above this"),
    ("difference_high", NUMBER, True, "and below this"),
    ("checks", JSONB(), False, "The table of the gate, one entry for each check"),
    ("passed", sa.Boolean(), False, "Whether it passed the gate"),
    ("reason", sa.Text(), False, "The verdict in a sentence"),
    ("policy", sa.Text(), False, "auto, approve, never, or roll_back"),
    (
        "outcome",
        sa.Text(),
        False,
        "promoted, refused (by the gate), rejected (by a person), unanswered, registered (policy "
        "never), kept (it is the champion), waiting, moved_back (it did not load), rolled_back",
    ),
    ("decided_by", sa.Text(), False, "A person, or the gate"),
    ("note", sa.Text(), False, "What the form said"),
    ("decided_at", MOMENT, False, "When the outcome last changed"),
)
OUTCOMES = (
    "promoted", "refused", "rejected", "unanswered", "registered", "kept", "waiting", "moved_back",
    "rolled_back",
)  # fmt: skip


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS optuna")
    op.create_table(
        "promotions",
        sa.Column(
            "promotion_id", sa.BigInteger(), sa.Identity(), primary_key=True, comment="Row number"
        ),
        *(
            sa.Column(
                name,
                kind,
                nullable=nullable,
                comment=meaning,
                server_default=sa.func.now() if name == "decided_at" else None,
            )
            for name, kind, nullable, meaning in COLUMNS
        ),
        sa.UniqueConstraint("source", "dag_run_id", name=op.f("uq_promotions_source_dag_run_id")),
        sa.CheckConstraint(
            f"outcome IN ({', '.join(repr(each) for each in OUTCOMES)})",
            name=op.f("ck_promotions_outcome"),
        ),
        schema=SCHEMA,
        comment="What the gate said of each challenger, and what became of it",
    )


def downgrade() -> None:
    op.drop_table("promotions", schema=SCHEMA)
    op.execute("DROP SCHEMA optuna CASCADE")
