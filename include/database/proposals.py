"""What lasts, and what people decide on it: the new normal, or an anomaly that goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database import SCHEMA, feedback, incidents
from include.database.feedback import Subject

# By then the level of a rate has settled by itself (`ml/rates.py`); a mute for ever would hide the
# next shift too.
SETTLING = timedelta(days=14)
# From the newest night of each kind on: what was shown before stays shown.
NEWEST = sa.text(
    """
    SELECT DISTINCT ON (source, signature) source, signature, window_id, interval_start
    FROM loganalyzer.current_anomalies JOIN loganalyzer.incident_anomalies USING (
        source, interval_start, interval_end, model_name, model_version, catalogue_version,
        window_id
    )
    WHERE incident_id = :incident_id
    ORDER BY source, signature, interval_start DESC, window_start DESC
    """
)


class NoProposal(LookupError):
    """There is no such proposal; the message says what to do."""


def proposals(conn: Connection, source: str | None = None) -> list[dict[str, Any]]:
    """The rows of the view `proposals`."""
    query = sa.text(
        f"SELECT * FROM {SCHEMA}.proposals "  # noqa: S608  our names
        "WHERE CAST(:source AS text) IS NULL OR :source = ANY(sources)"
    )
    return [dict(row) for row in conn.execute(query, {"source": source}).mappings()]


def accept(conn: Connection, incident_id: str, author: str, reason: str) -> int:
    """Take what lasts as normal from its newest night on, and resolve its incident; how many kinds
    are muted. The templates are muted for good and their newest windows labelled normal; a rate
    is muted until its level has settled. Raises NoProposal."""
    _checked(conn, incident_id)
    newest = conn.execute(NEWEST, {"incident_id": incident_id}).all()
    for each in newest:
        is_rate = each.signature.startswith("rate:")
        feedback.give(
            conn,
            Subject(source=each.source, window_id=each.window_id),
            "expected" if is_rate else "false",
            reason,
            author,
            until=each.interval_start + SETTLING if is_rate else None,
        )
    incidents.resolve(conn, incident_id, author, reason)
    return len(newest)


def refuse(conn: Connection, incident_id: str, author: str, reason: str) -> None:
    """Say that what lasts is an anomaly all the same: it is confirmed, and not proposed again.
    Raises NoProposal."""
    _checked(conn, incident_id)
    feedback.give(conn, Subject(incident_id=incident_id), "true", reason, author)


def _checked(conn: Connection, incident_id: str) -> None:
    if incident_id not in {row["incident_id"] for row in proposals(conn)}:
        raise NoProposal(
            f"no proposal {incident_id!r}: `loganalyzer proposals` lists what waits for an answer"
        )
