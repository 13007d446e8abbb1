"""A Parquet file of the lake may hold the events of several objects."""

from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA, TABLE = "loganalyzer", "lake_parts"
TABLE_COMMENTS = (
    "The Parquet files of ingested objects: what readers of the lake see",
    "Which events of which objects are in which Parquet file: what readers see",
)
COMMENTS = {
    "object_id": (
        "The object version that the events come from",
        "An object version that events in the file come from",
    ),
    "hour_utc": ("Hour that all its events lie in", "Hour that all events in the file lie in"),
    "events": ("Events in the file", "Events of the object in the file"),
}
# Objects that share a file are new again, for the next ingest to read; their rows go with them.
FORGET_SHARED = """
DELETE FROM loganalyzer.events_ledger WHERE object_id IN (
    SELECT object_id FROM loganalyzer.lake_parts WHERE path IN (
        SELECT path FROM loganalyzer.lake_parts GROUP BY path HAVING count(*) > 1
    )
)
"""


def upgrade() -> None:
    become(key=["path", "object_id"], version=1)


def downgrade() -> None:
    op.execute(FORGET_SHARED)
    become(key=["path"], version=0)


def become(key: list[str], version: int) -> None:
    op.drop_constraint(op.f("pk_lake_parts"), TABLE, schema=SCHEMA)
    op.create_primary_key(op.f("pk_lake_parts"), TABLE, key, schema=SCHEMA)
    op.execute(f"COMMENT ON TABLE {SCHEMA}.{TABLE} IS '{TABLE_COMMENTS[version]}'")
    for name, told in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN {SCHEMA}.{TABLE}.{name} IS '{told[version]}'")
