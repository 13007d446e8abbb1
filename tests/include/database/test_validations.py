"""What the data checks found, kept as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from include.database import Connection, validations
from include.database.validations import ValidationRow

FOUND = ValidationRow(
    source="disk",
    batch_id="first",
    object_id="1",
    object_key="a.log",
    layer="parsed",
    expectation="share_of_parsed_lines",
    severity="critical",
    passed=True,
    reason="0.99 of the lines parse, at least 0.5 expected",
)


def places(conn: Connection) -> list[str]:
    return list(conn.scalars(sa.text("SELECT ctid::text FROM loganalyzer.validations ORDER BY 1")))


def test_results_come_back_the_newest_first(conn: Connection) -> None:
    validations.record(conn, [FOUND, replace(FOUND, expectation="times_are_plausible")])
    rows = validations.history(conn, "disk")
    assert [row["expectation"] for row in rows] == ["times_are_plausible", FOUND.expectation]
    assert rows[1]["reason"] == FOUND.reason
    assert len(validations.history(conn, "disk", limit=1)) == 1
    assert validations.history(conn, "net") == []


def test_the_same_result_again_changes_no_row(conn: Connection) -> None:
    validations.record(conn, [FOUND])
    before = places(conn)
    validations.record(conn, [replace(FOUND, batch_id="second")])
    assert places(conn) == before
    assert validations.history(conn, "disk")[0]["batch_id"] == "first"


@pytest.mark.parametrize(
    "change",
    [{"passed": False}, {"severity": "warning"}, {"reason": "0.3"}],
    ids=lambda c: next(iter(c)),
)
def test_another_result_replaces_the_first(conn: Connection, change: dict[str, object]) -> None:
    validations.record(conn, [FOUND])
    validations.record(conn, [replace(FOUND, batch_id="second", **change)])  # type: ignore[arg-type]
    [row] = validations.history(conn, "disk")
    assert row.items() >= {**change, "batch_id": "second"}.items()


def test_nothing_to_record_is_no_error(conn: Connection) -> None:
    validations.record(conn, [])
    assert validations.history(conn, "disk") == []
