"""The schema: what the models say, what the migrations make, and what `\\d+` tells."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from include import database as db
from include.database import account_tables  # noqa: F401  its tables belong to the same metadata
from include.database.models import Table

OURS = "nspname = 'loganalyzer'"


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    # A role named like our schema would have it as its default one, which Alembic calls None.
    engine = sa.create_engine(url, connect_args={"options": "-c search_path=public"})
    with engine.connect() as conn:
        yield conn
    engine.dispose()


def relations(conn: sa.Connection) -> set[str]:
    query = f"SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE {OURS}"
    return set(conn.scalars(sa.text(query)))


def test_the_migrations_make_what_the_models_say(database: str) -> None:
    def ours(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
        return name == db.SCHEMA if kind == "schema" else name != "alembic_version"

    options = {"include_schemas": True, "include_name": ours, "compare_server_default": True}
    with connected(database) as conn:
        context = MigrationContext.configure(conn, opts=options)
        assert compare_metadata(context, Table.metadata) == []


def test_the_check_constraints_are_those_of_the_models(conn: sa.Connection) -> None:
    found = {
        check["name"]
        for table in Table.metadata.tables.values()
        for check in sa.inspect(conn).get_check_constraints(table.name, db.SCHEMA)
    }
    expected = {
        str(constraint.name)
        for table in Table.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    assert found == expected


def test_down_leaves_nothing_and_up_again_makes_the_same(empty_database: str) -> None:
    db.migrate(empty_database)
    with connected(empty_database) as conn:
        before = relations(conn)
    db.migrate(empty_database, "base")
    with connected(empty_database) as conn:
        assert relations(conn) == set()
        assert not sa.inspect(conn).has_schema(db.SCHEMA)
    db.migrate(empty_database)
    with connected(empty_database) as conn:
        assert relations(conn) == before


def test_rows_outlive_the_way_up_and_parts_of_several_objects_do_not_bar_the_way_down(
    empty_database: str,
) -> None:
    entry = "INSERT INTO loganalyzer.events_ledger VALUES (:id, 's', :id, '1', 1, 'ingested', NULL"
    entry += ", 1, 1, 0, 0, '{}', '{}', now(), now(), 'b')"
    part = "INSERT INTO loganalyzer.lake_parts VALUES ('part', :id, 's', now(), 1)"
    for revision, object_id in (("0003", "one"), ("head", "other")):
        db.migrate(empty_database, revision)
        with connected(empty_database) as conn, conn.begin():
            for statement in (entry, part):
                conn.execute(sa.text(statement), {"id": object_id})
    with connected(empty_database) as conn:
        held = conn.scalars(sa.text("SELECT object_id FROM loganalyzer.lake_parts ORDER BY 1"))
        assert held.all() == ["one", "other"]
    db.migrate(empty_database, "base")
    with connected(empty_database) as conn:
        assert relations(conn) == set()


def test_anomalies_outlive_their_way_into_months_and_back(empty_database: str) -> None:
    scored = "INSERT INTO loganalyzer.scorings VALUES ('s', '2026-01-31', '2026-02-01', 'm', '1',"
    scored += " 'novelty', 1, 1, 1, 3, now())"
    found = "INSERT INTO loganalyzer.anomalies VALUES ('s', '2026-01-31', '2026-02-01', 'm', '1',"
    found += " 'w', NULL, now(), now(), 4, 3, 'high', 'odd', '[]', '[]', 'novelty', 1)"
    rows = sa.text("SELECT count(*) FROM loganalyzer.last_night WHERE reason = 'odd'")
    db.migrate(empty_database, "0007")
    with connected(empty_database) as conn, conn.begin():
        for statement in (scored, found):
            conn.execute(sa.text(statement))
    db.migrate(empty_database)
    with connected(empty_database) as conn:
        assert conn.scalar(rows) == 1
        months = (
            "SELECT relname FROM pg_class WHERE relnamespace = 'loganalyzer_months'::regnamespace"
        )
        months += " AND relkind = 'r'"
        assert conn.scalars(sa.text(months)).all() == ["anomalies_202601"]
    db.migrate(empty_database, "0007")
    with connected(empty_database) as conn:
        assert conn.scalar(rows) == 1
    db.migrate(empty_database, "base")


def test_migrating_again_changes_nothing(empty_database: str) -> None:
    db.migrate(empty_database)
    with connected(empty_database) as conn:
        before = set(conn.execute(sa.text("SELECT oid, xmin::text FROM pg_class")))
    db.migrate(empty_database)
    with connected(empty_database) as conn:
        assert set(conn.execute(sa.text("SELECT oid, xmin::text FROM pg_class"))) == before


def test_several_at_once_migrate_one_after_the_other(empty_database: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(db.migrate, [empty_database] * 4)) == [None] * 4


@pytest.mark.parametrize("kind", ["r", "p", "v"], ids=["tables", "partitioned", "views"])
def test_every_relation_and_column_says_what_it_holds(conn: sa.Connection, kind: str) -> None:
    silent = sa.text(
        f"""
        SELECT relname, attname FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = relnamespace JOIN pg_attribute AS a ON attrelid = c.oid
        WHERE {OURS} AND relkind = :kind AND relname <> 'alembic_version'
          AND attnum > 0 AND NOT attisdropped
          AND (col_description(c.oid, attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
        """
    )
    assert conn.execute(silent, {"kind": kind}).all() == []


def test_a_session_counts_its_days_in_utc(conn: sa.Connection) -> None:
    assert conn.scalar(sa.text("SHOW TimeZone")) == "UTC"


def test_the_package_does_not_import_polars() -> None:
    code = "import sys, include.database, include.database.models; print('polars' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
