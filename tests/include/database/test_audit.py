"""The record of actions: it is only added to, and read from the newest on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import Connection, Engine, audit
from include.database.audit import Actor, Which


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE loganalyzer.audit_log SET actor = 'eve'",
        "DELETE FROM loganalyzer.audit_log",
        "TRUNCATE loganalyzer.audit_log",
        "SET session_replication_role = replica; DELETE FROM loganalyzer.audit_log",
    ],
)
def test_not_even_its_owner_changes_it(engine: Engine, statement: str) -> None:
    with engine.begin() as conn:
        audit.record(conn, Actor("ada", "cli"), "session.login")
        kept = conn.scalar(sa.text("SELECT count(*) FROM loganalyzer.audit_log"))
    with (
        engine.connect() as conn,
        pytest.raises(sa.exc.ProgrammingError, match=r"only ever|denied"),
    ):
        conn.execute(sa.text(statement))
    with engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM loganalyzer.audit_log")) == kept


def test_entries_come_in_pages_from_the_newest_on(conn: Connection) -> None:
    for number in range(5):
        audit.record(conn, Actor("ada", "api"), "feedback.give", str(number))
    which = Which(actor="ada", action="feedback.give")
    first = audit.entries(conn, which, None, 2)
    assert [each["subject"] for each in first] == ["4", "3"]
    audit.record(conn, Actor("ada", "api"), "feedback.give", "meanwhile")
    then = audit.entries(conn, which, first[-1]["audit_id"], 10)
    assert [each["subject"] for each in then] == ["2", "1", "0"]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Which(), ["x", "y"]),
        (Which(actor="ada"), ["x"]),
        (Which(action="token.create"), ["y"]),
        (Which(subject="y", actor="ada"), []),
        (Which(start=datetime(2000, 1, 1, tzinfo=UTC)), ["x", "y"]),
        (Which(end=datetime(2000, 1, 1, tzinfo=UTC)), []),
    ],
)
def test_entries_are_filtered(conn: Connection, which: Which, found: list[str]) -> None:
    last = conn.scalar(sa.text("SELECT coalesce(max(audit_id), 0) FROM loganalyzer.audit_log"))
    audit.record(conn, Actor("ada", "api"), "session.login", "x")
    audit.record(conn, Actor("bob", "cli"), "token.create", "y", after={"scopes": ["read"]})
    rows = list(audit.all_entries(conn, which))
    assert [row["subject"] for row in reversed(rows) if row["audit_id"] > last] == found


def test_a_period_ends_before_its_end(conn: Connection) -> None:
    audit.record(conn, Actor("ada", "api"), "session.login", "now")
    (row,) = audit.entries(conn, Which(subject="now"), None, 10)
    after = row["at"] + timedelta(microseconds=1)
    assert audit.entries(conn, Which(subject="now", start=row["at"], end=after), None, 10)
    assert not audit.entries(conn, Which(subject="now", end=row["at"]), None, 10)
