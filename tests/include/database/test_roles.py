"""Roles: an analyst reads views and gives feedback, a writer fills tables, others do nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa

from include import database as db
from include.database import (
    ROLES,
    Connection,
    Engine,
    anomalies,
    audit,
    feedback,
    labels,
    logins,
)
from include.database.audit import Actor
from include.database.feedback import Subject
from services.local import Stack
from tests.include.database.test_feedback import DAY, MONDAY, SCORING, anomaly

WRITER, ANALYST = ROLES
REFUSED = "permission denied|must be owner"


@pytest.fixture(scope="module")
def superuser(stack: Stack, database: str) -> Iterator[Engine]:
    password = stack.state().secrets["postgres_password"]
    # In a database of its own: the one of these tests is dropped by a role that could not make a
    # superuser leave it.
    url = sa.make_url(database).set(username="postgres", password=password, database="postgres")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@contextmanager
def logged_in(superuser: Engine, database: str, *roles: str) -> Iterator[Engine]:
    """Connections of a new login that is a member of the roles."""
    name = f"test_{uuid4().hex[:12]}"
    with superuser.connect() as conn:
        conn.execute(sa.text(f"CREATE ROLE {name} LOGIN PASSWORD 'a-test'"))
        for role in roles:
            conn.execute(sa.text(f"GRANT {role} TO {name}"))
    url = sa.make_url(database).set(username=name, password="a-test")  # noqa: S106  of a test
    engine = sa.create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
        with superuser.connect() as conn:
            conn.execute(sa.text(f"DROP ROLE {name}"))


@pytest.fixture(scope="module")
def analysts(superuser: Engine, database: str) -> Iterator[Engine]:
    with logged_in(superuser, database, ANALYST) as engine:
        yield engine


@pytest.fixture
def analyst(analysts: Engine) -> Iterator[Connection]:
    with analysts.connect() as conn:
        yield conn


@pytest.fixture
def scored(engine: Engine) -> Engine:
    with engine.begin() as conn:
        anomalies.replace_interval(conn, SCORING, [anomaly("w0", MONDAY, session="s0")])
    return engine


def relations(conn: Connection, kinds: str) -> list[str]:
    query = sa.text(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class AS c "
        "JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE relkind = ANY (:kinds) AND nspname IN ('loganalyzer', 'loganalyzer_months')"
    )
    found = list(conn.scalars(query, {"kinds": list(kinds)}))
    assert found
    return found


def test_an_analyst_reads_every_view_and_no_table(scored: Engine, analyst: Connection) -> None:
    with scored.connect() as conn:
        views, tables = relations(conn, "v"), relations(conn, "rp")
    assert {"loganalyzer.last_night", "loganalyzer.source_health"} <= set(views)
    for view in views:
        analyst.execute(sa.text(f"SELECT * FROM {view}"))
    assert analyst.scalar(sa.text("SELECT count(*) FROM loganalyzer.current_anomalies")) == 1
    for table in tables:
        with pytest.raises(sa.exc.ProgrammingError, match=REFUSED), analyst.begin_nested():
            analyst.execute(sa.text(f"SELECT * FROM {table}"))


def test_an_analyst_gives_feedback_in_its_own_name(scored: Engine, analysts: Engine) -> None:
    with analysts.begin() as conn:
        assert feedback.would_hide(conn, Subject("disk", "w0")).anomalies == 1
        given = sa.text(
            "SELECT loganalyzer.give_feedback('false', 'a test', 'disk', 'w0', "
            "author => 'somebody else')"
        )
        feedback_id = conn.scalar(given)
        said = conn.execute(sa.text("SELECT author FROM loganalyzer.muted_anomalies")).all()
        assert said == [("somebody else",)]
    with analysts.begin() as conn:
        assert len(feedback.withdraw(conn, feedback_id, "none", "ada")) == 1
        login = conn.scalar(sa.text("SELECT session_user"))
    with scored.connect() as conn:
        assert set(conn.scalars(sa.text("SELECT login FROM loganalyzer.feedback"))) == {login}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO loganalyzer.labels (source, session_key, is_anomalous, author, reason) "
        "VALUES ('disk', 's', true, 'a', 'b')",
        "UPDATE loganalyzer.anomalies SET score = 0",
        "DELETE FROM loganalyzer.feedback",
        "DELETE FROM loganalyzer.last_night",
        "DELETE FROM loganalyzer.promotion_history",
        "CREATE TABLE loganalyzer.mine (x int)",
        "SELECT loganalyzer.make_month(now())",
        "SELECT loganalyzer.drop_months_before(now())",
        "SELECT loganalyzer.grant_roles()",
        "SELECT * FROM loganalyzer.feedback_subjects('disk', 'w0', NULL, NULL)",
    ],
)
def test_an_analyst_does_nothing_else(scored: Engine, analyst: Connection, statement: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=f"{REFUSED}|cannot delete from view"):
        analyst.execute(sa.text(statement))


def test_what_runs_as_the_owner_finds_names_where_the_owner_meant(conn: Connection) -> None:
    query = sa.text(
        "SELECT proname, proconfig::text FROM pg_proc "
        "WHERE pronamespace = 'loganalyzer'::regnamespace AND prosecdef"
    )
    functions = dict(conn.execute(query).tuples().all())
    assert {"give_feedback", "make_month"} <= functions.keys()
    for name, settings in functions.items():
        assert "search_path=pg_catalog" in (settings or ""), name


def test_a_writer_fills_the_tables_and_only_adds_to_feedback(
    scored: Engine, superuser: Engine, database: str
) -> None:
    later = replace(SCORING, interval_start=MONDAY + 40 * DAY, interval_end=MONDAY + 41 * DAY)
    with logged_in(superuser, database, WRITER) as engine:
        with engine.begin() as conn:
            anomalies.replace_interval(conn, later, [anomaly("w1", MONDAY + 40 * DAY)])
            label = labels.LabelRow("s1", None, None, True)
            assert labels.import_labels(conn, "disk", [label], "ada", "known") == 1
            assert len(feedback.give(conn, Subject("disk", "w1"), "false", "x", "ada")) == 1
        for statement in (
            "UPDATE loganalyzer.feedback SET author = 'bob'",
            "DELETE FROM loganalyzer.feedback",
            "DROP TABLE loganalyzer.labels",
            "SELECT loganalyzer.grant_roles()",
        ):
            with engine.connect() as conn, pytest.raises(sa.exc.DBAPIError, match=REFUSED):
                conn.execute(sa.text(statement))


def test_a_writer_adds_to_the_record_of_actions_and_sees_no_people(
    scored: Engine, superuser: Engine, database: str
) -> None:
    with logged_in(superuser, database, WRITER) as engine:
        with engine.begin() as conn:
            audit.record(conn, Actor("ada", "airflow"), "model.promote", "disk/3")
            logins.forget_logins(conn, MONDAY)
        for table in ("users", "sessions", "api_tokens", "invitations", "audit_log"):
            refused = pytest.raises(sa.exc.ProgrammingError, match=REFUSED)
            with engine.connect() as conn, refused:
                conn.execute(sa.text(f"SELECT * FROM loganalyzer.{table}"))


def test_a_login_without_a_role_sees_nothing(
    scored: Engine, superuser: Engine, database: str
) -> None:
    refused = pytest.raises(sa.exc.ProgrammingError, match=REFUSED)
    with logged_in(superuser, database) as engine, engine.connect() as conn, refused:
        conn.execute(sa.text("SELECT * FROM loganalyzer.last_night"))


def test_where_the_roles_are_missing_it_is_said_what_to_do(
    empty_database: str, superuser: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with superuser.connect() as conn:
        for role in ROLES:
            conn.execute(sa.text(f"ALTER ROLE {role} RENAME TO {role}_gone"))
    try:
        with caplog.at_level(logging.WARNING):
            db.migrate(empty_database)
    finally:
        with superuser.connect() as conn:
            for role in ROLES:
                conn.execute(sa.text(f"ALTER ROLE {role}_gone RENAME TO {role}"))
    assert "let a role that may run create role" in caplog.text.lower()
    engine = sa.create_engine(empty_database)
    with engine.begin() as conn:
        reads = sa.text(f"SELECT has_table_privilege('{ANALYST}', 'loganalyzer.nights', 'SELECT')")
        assert conn.scalar(reads) is False
        conn.execute(sa.text("SELECT loganalyzer.grant_roles()"))
        assert conn.scalar(reads) is True
    engine.dispose()
    db.migrate(empty_database, "base")
