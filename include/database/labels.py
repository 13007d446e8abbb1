"""Labels: what people know, from a CSV file into the table and out again for training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from include.database.models import Label
from include.ingest.decode import UnreadableObject, read_bytes

VERDICTS = {
    "anomalous": True, "anomaly": True, "abnormal": True, "true": True, "1": True,
    "normal": False, "false": False, "0": False,
}  # fmt: skip
KEY_COLUMNS = ("session_key", "blockid")
VERDICT_COLUMNS = ("label", "is_anomalous")
ROWS = 1000


TIME = pl.Datetime("us", "UTC")
LABEL_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "session_key": pl.String,
    "starts_at": TIME,
    "ends_at": TIME,
    "is_anomalous": pl.Boolean,
}


class InvalidLabels(ValueError):
    """A label file that cannot be used; the message names the file, the line and what to do."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A verdict on a session, on an interval starts_at <= t < ends_at, or on both together."""

    session_key: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    is_anomalous: bool


def read_label_csv(path: Path) -> list[LabelRow]:
    """The labels of a CSV file with a header.

    Columns: `label` (anomalous or normal, true or false, 1 or 0), and `session_key`, or
    `starts_at` and `ends_at` (ISO 8601; UTC where they carry no zone), or all three. `BlockId`
    stands for `session_key`. The file may be packed, as logs may. Raises InvalidLabels.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnreadableObject as error:
        raise InvalidLabels(str(error)) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidLabels(f"{path}: line {line}: not UTF-8; save the file as UTF-8") from error
    return _read(path, text)


def _read(path: Path, text: str) -> list[LabelRow]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = {name.strip().lower(): name for name in reader.fieldnames or []}
    verdict = next((names[name] for name in VERDICT_COLUMNS if name in names), None)
    key = next((names[name] for name in KEY_COLUMNS if name in names), None)
    if verdict is None or (key is None and not {"starts_at", "ends_at"} <= names.keys()):
        raise InvalidLabels(
            f"{path}: line 1: expected the columns label and session_key, or label, starts_at "
            f"and ends_at, got {', '.join(reader.fieldnames or ['an empty file'])}"
        )
    rows: dict[tuple[str | None, datetime | None, datetime | None], tuple[int, LabelRow]] = {}
    for line, row in _rows(path, reader, verdict, key, names):
        first, other = rows.setdefault((row.session_key, row.starts_at, row.ends_at), (line, row))
        if other.is_anomalous != row.is_anomalous:
            raise InvalidLabels(
                f"{path}: line {line}: contradicts line {first}, which labels the same "
                "session or interval the other way; keep one of them"
            )
    return [row for _, row in rows.values()]


def checked(row: LabelRow, place: str) -> LabelRow:
    """The same row. Raises InvalidLabels, with the place that it came from, where it speaks of
    nothing or of an interval without a length."""
    starts, ends = row.starts_at, row.ends_at
    if row.session_key is None and starts is None and ends is None:
        raise InvalidLabels(f"{place}: neither a session key nor an interval")
    if (starts is None) != (ends is None) or (starts and ends and starts >= ends):
        raise InvalidLabels(f"{place}: an interval needs both a start and a later end")
    if row.session_key and "\0" in row.session_key:
        raise InvalidLabels(f"{place}: the session key holds a NUL byte; take it out")
    return row


def page(
    conn: Connection, source: str | None, limit: int, before: int | None = None
) -> list[dict[str, Any]]:
    """So many labels of a source, or of all, the newest first; before: only of lesser ids."""
    query = sa.select(*Label.__table__.columns).order_by(Label.label_id.desc()).limit(limit)
    if source is not None:
        query = query.where(Label.source == source)
    if before is not None:
        query = query.where(Label.label_id < before)
    return [dict(row) for row in conn.execute(query).mappings()]


def same_as(conn: Connection, source: str, row: LabelRow) -> dict[str, Any] | None:
    """The label that speaks of the same session, interval or both."""
    query = sa.select(*Label.__table__.columns).where(
        Label.source == source,
        *(
            getattr(Label, name).is_not_distinct_from(getattr(row, name))
            for name in ("session_key", "starts_at", "ends_at")
        ),
    )
    found = conn.execute(query).mappings().one_or_none()
    return None if found is None else dict(found)


def remove(conn: Connection, label_id: int) -> dict[str, Any] | None:
    """Take a label back; the row that it was, None where there is none. Raises InvalidLabels for a
    golden incident."""
    gone = sa.delete(Label).where(Label.label_id == label_id).returning(*Label.__table__.columns)
    row = conn.execute(gone).mappings().one_or_none()
    if row is not None and row["golden"]:
        raise InvalidLabels(
            f"label {label_id} is a golden incident of {row['source']}: where it was confirmed by "
            "mistake, set golden to false in the table loganalyzer.labels first"
        )
    return None if row is None else dict(row)


def label_frame(rows: Sequence[LabelRow]) -> pl.DataFrame:
    """`session_key`, `starts_at`, `ends_at`, `is_anomalous` of each label."""
    return pl.DataFrame([astuple(row) for row in rows], schema=LABEL_SCHEMA, orient="row")


def import_labels(
    conn: Connection,
    source: str,
    rows: Sequence[LabelRow],
    author: str,
    reason: str,
    *,
    golden: bool = False,
) -> int:
    """Insert labels, or change the verdict of those that are there; how many rows changed.

    A label whose verdict stands keeps its author, reason and time, unless it becomes golden. Of
    several rows for the same session or interval the last one counts.

    golden: they are confirmed incidents. Those that are stay so, whatever is imported later.
    Raises InvalidLabels where a golden incident would be called normal.
    """
    unique = {(row.session_key, row.starts_at, row.ends_at): row for row in rows}
    normal = [row for row in unique.values() if not row.is_anomalous]
    if golden and normal:
        raise InvalidLabels(
            f"{_name(normal[0])} is labelled normal, and only an anomaly can be a golden "
            "incident: leave out what is normal"
        )
    _refuse_to_lose_golden(conn, source, normal)
    said = {"source": source, "author": author, "reason": reason, "golden": golden}
    documents = [{**asdict(row), **said} for row in unique.values()]
    return sum(
        conn.execute(_upsert(documents[start : start + ROWS])).rowcount
        for start in range(0, len(documents), ROWS)
    )


def _refuse_to_lose_golden(conn: Connection, source: str, normal: Sequence[LabelRow]) -> None:
    known = {LabelRow(*row) for row in golden_labels_of(conn, source).rows()}
    for row in normal:
        if replace(row, is_anomalous=True) in known:
            raise InvalidLabels(
                f"{_name(row)} is a golden incident of {source} and cannot be labelled normal: "
                "where it was confirmed by mistake, set golden to false in the table "
                "loganalyzer.labels first"
            )


def _upsert(documents: Sequence[dict[str, Any]]) -> sa.Executable:
    statement = insert(Label).values(documents)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["source", "session_key", "starts_at", "ends_at"],
        set_={
            **{name: new[name] for name in ("is_anomalous", "author", "reason")},
            "golden": sa.or_(Label.golden, new.golden),
            "imported_at": sa.func.now(),
        },
        where=sa.or_(
            Label.is_anomalous.is_distinct_from(new.is_anomalous),
            sa.and_(new.golden, sa.not_(Label.golden)),
        ),
    )


def _name(row: LabelRow) -> str:
    """A label in words, by what it speaks of."""
    session = f"session {row.session_key}" if row.session_key else ""
    interval = f"{row.starts_at:%Y-%m-%d %H:%M:%S} UTC" if row.starts_at else ""
    return f"{session} from {interval}" if session and interval else session or interval


def labels_of(conn: Connection, source: str) -> pl.DataFrame:
    """`session_key`, `starts_at`, `ends_at`, `is_anomalous` of every label of a source."""
    return _frame(conn, Label.source == source)


def golden_labels_of(conn: Connection, source: str) -> pl.DataFrame:
    """The same of its golden incidents: those that people have confirmed."""
    return _frame(conn, Label.source == source, Label.golden.is_(True))


def _frame(conn: Connection, *conditions: sa.ColumnElement[bool]) -> pl.DataFrame:
    query = sa.select(Label.session_key, Label.starts_at, Label.ends_at, Label.is_anomalous)
    rows = conn.execute(query.where(*conditions).order_by(Label.label_id)).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=LABEL_SCHEMA, orient="row")


def _rows(
    path: Path, reader: csv.DictReader[str], verdict: str, key: str | None, names: dict[str, str]
) -> Iterator[tuple[int, LabelRow]]:
    """Each row with the number of the line that it ends on."""
    for record in reader:
        place = f"{path}: line {reader.line_num}"
        word = (record[verdict] or "").strip().lower()
        if word not in VERDICTS:
            raise InvalidLabels(f"{place}: label {word!r}, expected anomalous or normal")
        session = (record[key] or "").strip() or None if key else None
        starts, ends = (
            _time(place, record.get(names.get(name, ""))) for name in ("starts_at", "ends_at")
        )
        yield reader.line_num, checked(LabelRow(session, starts, ends, VERDICTS[word]), place)


def _time(place: str, text: str | None) -> datetime | None:
    if not text or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidLabels(f"{place}: {text!r} is no ISO 8601 time") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
