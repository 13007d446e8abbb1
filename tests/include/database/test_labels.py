"""Labels: from a CSV file into the table and out again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from include.database import Connection, labels
from include.database.labels import InvalidLabels, LabelRow, read_label_csv

NINE, TEN = datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "session_key,label\nblk_1,anomalous\nblk_2,normal\n",
            [LabelRow("blk_1", None, None, True), LabelRow("blk_2", None, None, False)],
            id="sessions",
        ),
        pytest.param(
            "BlockId,Label\nblk_1,Anomaly\nblk_2,Normal\n",
            [LabelRow("blk_1", None, None, True), LabelRow("blk_2", None, None, False)],
            id="as the public HDFS collection has it",
        ),
        pytest.param(
            "starts_at,ends_at,label\n2026-03-01T09:00,2026-03-01 10:00:00Z,1\n",
            [LabelRow(None, NINE, TEN, True)],
            id="intervals, UTC where no zone is given",
        ),
        pytest.param(
            "label,ends_at,starts_at\nTRUE,2026-03-01T12:00+02:00,2026-03-01T11:00+02:00\n",
            [LabelRow(None, NINE, TEN, True)],
            id="columns in any order, times in another zone",
        ),
        pytest.param(
            "session_key,starts_at,ends_at,label\na,2026-03-01T09:00,2026-03-01T10:00,0\nb,,,1\n",
            [LabelRow("a", NINE, TEN, False), LabelRow("b", None, None, True)],
            id="a part of a session",
        ),
        pytest.param(
            '\ufeffsession_key,label\r\n"a,\tb ""c""\\N",false\r\n',
            [LabelRow('a,\tb "c"\\N', None, None, False)],
            id="as a spreadsheet writes it",
        ),
        pytest.param(
            "session_key,label\na,1\na,anomalous\n",
            [LabelRow("a", None, None, True)],
            id="the same thing said twice counts once",
        ),
    ],
)
def test_a_file_is_read(file: Path, text: str, expected: list[LabelRow]) -> None:
    file.write_text(text, encoding="utf-8", newline="")
    assert read_label_csv(file) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "line 1: expected the columns", id="empty"),
        pytest.param(b"session_key\na\n", "line 1: expected the columns", id="no verdicts"),
        pytest.param(b"starts_at,label\n", "line 1: expected the columns", id="half an interval"),
        pytest.param(b"session_key,label\na,1\nb,maybe\n", "line 3: label 'maybe'", id="verdict"),
        pytest.param(b"session_key,label\na\n", "line 2: label ''", id="short row"),
        pytest.param(b"session_key,label\n,1\n", "line 2: neither", id="speaks of nothing"),
        pytest.param(
            b"starts_at,ends_at,label\nmonday,2026-03-02,1\n", "line 2: 'monday'", id="no time"
        ),
        pytest.param(
            b"starts_at,ends_at,label\n2026-03-02,2026-03-02,1\n", "line 2: an int", id="no span"
        ),
        pytest.param(b"starts_at,ends_at,label\n,2026-03-02,1\n", "line 2: an int", id="no start"),
        pytest.param(
            b"session_key,label\na,1\nb,0\na,0\n", "line 4: contradicts line 2", id="contradiction"
        ),
        pytest.param(b"session_key,label\na,1\n\xff,1\n", "line 3: not UTF-8", id="other encoding"),
        pytest.param(b"session_key,label\na\0b,1\n", "line 2: .*NUL", id="NUL"),
    ],
)
def test_an_error_names_the_file_and_the_line(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(InvalidLabels, match=rf"labels\.csv: {message}"):
        read_label_csv(file)


ROWS = [
    LabelRow("a", None, None, True),
    LabelRow("b", None, None, False),
    LabelRow(None, NINE, TEN, True),
    LabelRow("a", NINE, TEN, True),
]


def table(conn: Connection) -> list[object]:
    query = "SELECT ctid::text, * FROM loganalyzer.labels ORDER BY label_id"
    return list(conn.execute(sa.text(query)))


def test_what_is_imported_comes_out(conn: Connection) -> None:
    assert labels.import_labels(conn, "disk", ROWS, "ann", "incident 12") == 4
    assert labels.labels_of(conn, "disk").rows() == [
        (row.session_key, row.starts_at, row.ends_at, row.is_anomalous) for row in ROWS
    ]


def test_a_source_without_labels_gives_an_empty_frame(conn: Connection) -> None:
    time = pl.Datetime("us", "UTC")
    assert labels.labels_of(conn, "nobody").schema == {
        "session_key": pl.String,
        "starts_at": time,
        "ends_at": time,
        "is_anomalous": pl.Boolean,
    }


def test_importing_again_changes_no_row(conn: Connection) -> None:
    labels.import_labels(conn, "disk", ROWS, "ann", "incident 12")
    before = table(conn)
    assert labels.import_labels(conn, "disk", ROWS, "bob", "by mistake") == 0
    assert table(conn) == before


def test_a_changed_verdict_says_who_changed_it(conn: Connection) -> None:
    labels.import_labels(conn, "disk", ROWS, "ann", "incident 12")
    changed = [ROWS[0], LabelRow("b", None, None, True)]
    assert labels.import_labels(conn, "disk", changed, "bob", "was overlooked") == 1
    authors = conn.execute(
        sa.text("SELECT author, reason FROM loganalyzer.labels WHERE session_key = 'b'")
    )
    assert authors.all() == [("bob", "was overlooked")]


def test_sources_are_apart(conn: Connection) -> None:
    labels.import_labels(conn, "disk", ROWS, "ann", "")
    assert labels.import_labels(conn, "net", ROWS, "ann", "") == 4
    assert len(labels.labels_of(conn, "disk")) == 4


class TestGoldenIncidents:
    ODD = (LabelRow("a", None, None, True), LabelRow(None, NINE, TEN, True))

    @pytest.fixture
    def known(self, conn: Connection) -> Connection:
        labels.import_labels(conn, "disk", ROWS, "ann", "imported")
        labels.import_labels(conn, "disk", self.ODD, "bob", "incident 12", golden=True)
        return conn

    def golden(self, conn: Connection) -> list[tuple[object, ...]]:
        return labels.golden_labels_of(conn, "disk").rows()

    def test_they_are_the_confirmed_ones(self, known: Connection) -> None:
        assert self.golden(known) == [("a", None, None, True), (None, NINE, TEN, True)]
        assert len(labels.labels_of(known, "disk")) == 4
        assert labels.golden_labels_of(known, "net").schema == labels.LABEL_SCHEMA

    def test_they_say_who_confirmed_them(self, known: Connection) -> None:
        authors = "SELECT DISTINCT author, reason FROM loganalyzer.labels WHERE golden"
        assert known.execute(sa.text(authors)).all() == [("bob", "incident 12")]

    def test_no_later_import_takes_that_away(self, known: Connection) -> None:
        before = table(known)
        for golden in (False, True):
            imported = labels.import_labels(known, "disk", self.ODD, "eve", "", golden=golden)
            assert imported == 0
        assert table(known) == before

    def test_one_that_was_called_normal_becomes_one(self, known: Connection) -> None:
        found = [LabelRow("b", None, None, True)]
        assert labels.import_labels(known, "disk", found, "eve", "after all", golden=True) == 1
        assert ("b", None, None, True) in self.golden(known)

    def test_none_can_be_called_normal(self, known: Connection) -> None:
        before = table(known)
        normal = [LabelRow("c", None, None, False), LabelRow("a", None, None, False)]
        with pytest.raises(InvalidLabels, match="session a is a golden incident of disk"):
            labels.import_labels(known, "disk", normal, "eve", "")
        assert table(known) == before
        assert labels.import_labels(known, "net", normal, "eve", "") == 2

    def test_nothing_normal_is_one(self, known: Connection) -> None:
        before = table(known)
        normal = [LabelRow("d", None, None, True), LabelRow(None, NINE, TEN, False)]
        with pytest.raises(
            InvalidLabels, match="2026-03-01 09:00:00 UTC is labelled normal, and only"
        ):
            labels.import_labels(known, "disk", normal, "eve", "", golden=True)
        assert table(known) == before
        with pytest.raises(IntegrityError, match="ck_labels_golden"), known.begin_nested():
            known.execute(sa.text("UPDATE loganalyzer.labels SET golden = true"))
