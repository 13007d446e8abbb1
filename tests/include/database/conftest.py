"""A database of its own for each test module, on the stack's Postgres."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa

from include import database as db
from include.database.account_tables import AuditEntry, Table
from include.settings import Settings


@contextmanager
def new_database() -> Iterator[str]:
    """The URL of an empty database, dropped at the end whoever is still connected."""
    url = sa.make_url(os.environ["LOGANALYZER_DATABASE_URL"])
    name = f"test_{uuid4().hex[:12]}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as conn:
        conn.execute(sa.text(f"CREATE DATABASE {name}"))
        # Far from UTC, so that whatever leans on the server's zone is found out.
        conn.execute(sa.text(f"ALTER DATABASE {name} SET TimeZone = 'Pacific/Auckland'"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as conn:
            conn.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


@pytest.fixture
def empty_database(stack: object) -> Iterator[str]:
    """The URL of a database without our schema."""
    with new_database() as url:
        yield url


@pytest.fixture(scope="module")
def database(stack: object) -> Iterator[str]:
    """The URL of a database with our schema."""
    with new_database() as url:
        db.migrate(url)
        yield url


@pytest.fixture(scope="module")
def connections(database: str) -> Iterator[db.Engine]:
    pool = db.engine(Settings(database_url=database))
    yield pool
    pool.dispose()


@pytest.fixture
def conn(connections: db.Engine) -> Iterator[db.Connection]:
    """One transaction, forgotten after the test."""
    with connections.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture
def engine(connections: db.Engine) -> Iterator[db.Engine]:
    """For tests that commit; the tables are emptied after each, but for the record of actions,
    which does not let itself be emptied."""
    yield connections
    emptied = [each for each in Table.metadata.sorted_tables if each is not AuditEntry.__table__]
    tables = ", ".join(table.fullname for table in emptied)
    with connections.begin() as connection:
        connection.execute(sa.text(f"TRUNCATE {tables}"))
