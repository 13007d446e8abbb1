"""How Alembic reaches the database: over the connection that `include.database.migrate` opened."""

import sqlalchemy as sa
from alembic import context

from include.database import (
    SCHEMA,
    account_tables,  # noqa: F401  its tables belong to the same metadata
)
from include.database.models import Table

connection = context.config.attributes["connection"]
connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
context.run_migrations()
