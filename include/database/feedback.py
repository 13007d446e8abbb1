"""What people say of anomalies: true, false, or expected until a time.

The rules are functions in Postgres (`give_feedback`, `withdraw_feedback`, `would_hide`), so that
they are the same for whoever calls them in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

VERDICTS = ("true", "false", "expected")
SUBJECT = "source => :source, window_id => :window_id, incident_id => :incident_id, "
SUBJECT += "template_id => :template_id"
GIVE = sa.text(
    f"SELECT loganalyzer.give_feedback(:verdict, :reason, {SUBJECT}, until => :until, "
    "author => :author)"
).bindparams(sa.bindparam("until", type_=sa.DateTime(timezone=True)))
WITHDRAW = sa.text("SELECT loganalyzer.withdraw_feedback(:feedback_id, :reason, author => :author)")
WOULD_HIDE = sa.text(f"SELECT * FROM loganalyzer.would_hide({SUBJECT})")  # noqa: S608  our names
OF_SESSION = sa.text(
    "SELECT source, window_id FROM loganalyzer.current_anomalies WHERE session_key = :session "
    "AND (CAST(:source AS text) IS NULL OR source = :source) "
    "ORDER BY interval_start DESC, score DESC LIMIT 1"
)
INVALID = "22023"


class InvalidFeedback(ValueError):
    """What cannot be said; the message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a feedback speaks of: an anomaly or a template of a source, or an incident."""

    source: str | None = None
    window_id: str | None = None
    incident_id: str | None = None
    template_id: str | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a mute would have hidden in the last thirty nights of its sources. told: in words."""

    anomalies: int
    confirmed: int
    told: str


def give(
    conn: Connection,
    subject: Subject,
    verdict: str,
    reason: str,
    author: str,
    until: datetime | None = None,
) -> list[int]:
    """Say one of `VERDICTS` of a subject; the ids of the new rows, one for each source and kind.

    until: of what is expected, when that ends. `true` and `false` also label the sessions, or the
    spans, of the anomalies. Raises InvalidFeedback, also for a golden incident called false.
    """
    values = {"verdict": verdict, "reason": reason, "author": author, "until": until}
    with _told():
        return list(conn.scalars(GIVE, {**asdict(subject), **values}))


def withdraw(conn: Connection, feedback_id: int, reason: str, author: str) -> list[int]:
    """Take back what was said, with all that was said of the same incident in the same stroke, and
    the labels that it made; the ids of the new rows. Raises InvalidFeedback."""
    values = {"feedback_id": feedback_id, "reason": reason, "author": author}
    with _told():
        return list(conn.scalars(WITHDRAW, values))


def would_hide(conn: Connection, subject: Subject) -> Hidden:
    """What is not muted yet and a mute would have hidden. Raises InvalidFeedback."""
    with _told():
        return Hidden(**conn.execute(WOULD_HIDE, asdict(subject)).mappings().one())


def of_session(conn: Connection, session: str, source: str | None = None) -> Subject:
    """The newest anomaly of a session. Raises InvalidFeedback where it has none."""
    found = conn.execute(OF_SESSION, {"source": source, "session": session}).one_or_none()
    if found is None:
        raise InvalidFeedback(f"no anomaly of session {session}{f' of {source}' if source else ''}")
    return Subject(*found)


def in_force(
    conn: Connection,
    source: str | None = None,
    limit: int | None = None,
    before: int | None = None,
    *,
    is_counted: bool = True,
) -> list[dict[str, Any]]:
    """What was said and not withdrawn, the newest first: the columns of the view
    `feedback_in_force`, and `hidden`, how many anomalies it hides; None for what is no mute.

    before: only of lesser ids. is_counted: whether `hidden` is known, which asks all anomalies that
    there are; it is None otherwise.
    """
    conditions = "(CAST(:source AS text) IS NULL OR source = :source) "
    conditions += "AND (CAST(:before AS bigint) IS NULL OR feedback_id < :before)"
    rows = f"SELECT * FROM loganalyzer.feedback_in_force WHERE {conditions} "  # noqa: S608  our names
    rows += "ORDER BY feedback_id DESC LIMIT :limit"
    hidden = "LEFT JOIN loganalyzer.muted_anomalies AS m USING (feedback_id)" if is_counted else ""
    query = sa.text(
        f"SELECT f.*, {'m.anomalies' if is_counted else 'NULL'} AS hidden "  # noqa: S608  our names
        f"FROM ({rows}) AS f {hidden} ORDER BY feedback_id DESC"
    )
    values = {"source": source, "limit": limit, "before": before}
    return [dict(row) for row in conn.execute(query, values).mappings()]


@contextmanager
def _told() -> Iterator[None]:
    """What the functions refuse, as InvalidFeedback."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != INVALID:
            raise
        raise InvalidFeedback(error.orig.diag.message_primary) from error  # type: ignore[union-attr]
