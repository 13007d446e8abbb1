"""Pages of anomalies are found by indexes, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

SCHEMA = "loganalyzer"
# Months to come have them too: they are made as partitions of the table.
INDEXES: dict[str, tuple[list[str], str | None]] = {
    "source_window_start": (["source", "window_start"], None),
    "session_key": (["session_key"], None),
    "score": (["score"], None),
    "critical": (["window_start"], "severity = 'critical'"),
    "high": (["window_start"], "severity IN ('high', 'critical')"),
}


def upgrade() -> None:
    for name, (columns, where) in INDEXES.items():
        op.create_index(
            f"ix_anomalies_{name}",
            "anomalies",
            columns,
            schema=SCHEMA,
            postgresql_where=sa.text(where) if where else None,
        )


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(f"ix_anomalies_{name}", "anomalies", schema=SCHEMA)
