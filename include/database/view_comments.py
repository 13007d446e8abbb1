"""What `\\d+` says of views: for migrations."""

from __future__ import annotations

from collections.abc import Mapping

from alembic import op

from include.database import SCHEMA

SAME_COLUMNS = """
DO $$
DECLARE same record;
BEGIN
    FOR same IN
        SELECT v.attname AS name, col_description(t.attrelid, t.attnum) AS comment
        FROM pg_attribute AS v JOIN pg_attribute AS t USING (attname)
        WHERE v.attrelid = '{schema}.{view}'::regclass AND v.attnum > 0
          AND t.attrelid = '{schema}.{table}'::regclass AND t.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN {schema}.{view}.%I IS %L', same.name, same.comment);
    END LOOP;
END $$
"""


def comment_on_view(
    view: str, meaning: str, table: str, columns: Mapping[str, str] | None = None
) -> None:
    """Say what a view is and what its columns are: those of `columns`, and the others as the
    columns of the same name in `table`. Texts are ours, without a quote."""
    op.execute(f"COMMENT ON VIEW {SCHEMA}.{view} IS '{meaning}'")
    op.execute(SAME_COLUMNS.format(schema=SCHEMA, view=view, table=table))
    for name, of_column in (columns or {}).items():
        op.execute(f"COMMENT ON COLUMN {SCHEMA}.{view}.{name} IS '{of_column}'")
