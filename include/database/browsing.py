"""Anomalies in pages: the newest or the oddest first, however many there are.

The view `current_anomalies` says the same of all of them at once. Here what it decides, which
scoring is the newest and what is muted, is asked row by row in the order of an index, so that a
page costs what its rows cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database.anomalies import BOUND, NEWEST, SEVERITIES
from include.database.incidents import KEY

Sort = Literal["time", "score"]

# The last value of each is that of a row: the next page starts after it.
ORDERS: dict[Sort, tuple[str, ...]] = {
    "time": ("window_start", "source", "window_id", "interval_start"),
    "score": ("score", "window_start", "source", "window_id", "interval_start"),
}
SHOWN = f"{', '.join(KEY)}, session_key, window_start, window_end, score, threshold, severity, "
SHOWN += "reason, detector, events, signature"


def _of(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in KEY)


HOLDS = "f.first_night <= a.interval_start AND (f.until IS NULL OR a.window_start < f.until)"
COLUMNS = """a.source, a.interval_start AS night, a.window_start AS time, a.window_end, a.window_id,
       a.session_key AS session, a.score, a.threshold, a.severity, a.reason, a.detector,
       a.model_version, a.events, a.signature, i.incident_id"""
PAGE = f"""
SELECT {COLUMNS}, CASE WHEN said.is_mute THEN said.feedback_id END AS muted_by
FROM (
    SELECT {SHOWN} FROM loganalyzer.anomalies WHERE {{conditions}} ORDER BY {{order}}
    {{bound}}
) AS a
{NEWEST}
LEFT JOIN LATERAL (
    SELECT feedback_id, verdict <> 'true' AS is_mute FROM (
        SELECT feedback_id, verdict FROM loganalyzer.feedback_in_force AS f
        WHERE f.source = a.source AND f.signature = a.signature AND {HOLDS}
          AND (a.signature <> '' OR f.window_id = a.window_id)
        UNION ALL
        SELECT feedback_id, verdict FROM loganalyzer.feedback_in_force AS f
        WHERE f.source = a.source AND {HOLDS}
          AND f.template_id = ANY (string_to_array(translate(a.signature, '|>', '::'), ':'))
    ) AS spoken
    ORDER BY feedback_id DESC LIMIT 1
) AS said ON true
LEFT JOIN loganalyzer.incident_anomalies AS i ON ({_of("i")}) = ({_of("a")})
WHERE latest.is_newest AND (:muted OR said.is_mute IS NOT TRUE)
ORDER BY {{outer_order}} LIMIT :limit
"""  # noqa: S608  our names
OF_PLACES = f"""
SELECT {COLUMNS}, a.muted_by, a.explanation, a.lines, a.sequence, j.is_anomalous
FROM loganalyzer.current_anomalies AS a
JOIN loganalyzer.judged_anomalies AS j
    ON (j.source, j.night, j.window_id) = (a.source, a.interval_start, a.window_id)
LEFT JOIN loganalyzer.incident_anomalies AS i ON ({_of("i")}) = ({_of("a")})
WHERE a.source = :source AND a.interval_start = ANY(:nights) AND a.window_id = ANY(:windows)
ORDER BY a.interval_end DESC, a.window_start, a.window_id
"""  # noqa: S608  our names
OF_INCIDENT = f"({', '.join(KEY)}) IN (SELECT {', '.join(KEY)} "
OF_INCIDENT += "FROM loganalyzer.incident_anomalies WHERE incident_id = :incident_id)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which anomalies to list: all where nothing is said, but for muted ones.

    start, end: of the times at which their windows start. text: part of the reason, whatever its
    case. muted: whether to list those too.
    """

    source: str | None = None
    minimum_severity: str = SEVERITIES[0]
    start: datetime | None = None
    end: datetime | None = None
    session: str | None = None
    text: str | None = None
    incident_id: str | None = None
    muted: bool = False


def page(
    conn: Connection,
    wanted: Wanted,
    limit: int,
    after: Sequence[Any] | None = None,
    sort: Sort = "time",
) -> list[dict[str, Any]]:
    """So many anomalies, the newest or the oddest first, each with the incident that it is in.

    after: the values of the last row of the page before, by the names of `ORDERS`.
    """
    names = ORDERS[sort]
    conditions = [*_conditions(wanted), *([] if after is None else [_beyond(names)])]
    # No index has them in this order: what is found is sorted, however long that takes.
    is_sorted = bool(wanted.incident_id or (sort == "score" and (wanted.start or wanted.end)))
    statement = PAGE.format(
        bound="" if is_sorted else BOUND,
        conditions=" AND ".join(conditions) or "true",
        order=", ".join(f"{name} DESC" for name in names),
        outer_order=", ".join(f"a.{name} DESC" for name in names),
    )
    values = {
        "source": wanted.source,
        "start": wanted.start,
        "end": wanted.end,
        "session": wanted.session,
        "text": wanted.text and pattern(wanted.text),
        "incident_id": wanted.incident_id,
        "muted": wanted.muted,
        "limit": limit,
        **{f"after_{name}": value for name, value in zip(names, after or (), strict=bool(after))},
    }
    return [dict(row) for row in conn.execute(sa.text(statement), values).mappings()]


def anomaly(
    conn: Connection, source: str, night: datetime, window_id: str
) -> dict[str, Any] | None:
    """A row as `page` has it with its `explanation`, `lines`, `sequence` and `is_anomalous`, what
    people say; None where there is none."""
    return next(iter(anomalies_at(conn, source, [(night, window_id)])), None)


def anomalies_at(
    conn: Connection, source: str, places: Sequence[tuple[datetime, str]]
) -> list[dict[str, Any]]:
    """The same of several nights and windows of a source; those that are not there are left out."""
    values = {
        "source": source,
        "nights": [night for night, _ in places],
        "windows": [window_id for _, window_id in places],
    }
    rows = [dict(row) for row in conn.execute(sa.text(OF_PLACES), values).mappings()]
    wanted = set(places)
    return [row for row in rows if (row["night"], row["window_id"]) in wanted]


def pattern(text: str) -> str:
    """What `ILIKE` finds a text by, wherever it stands."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def severities_from(severity: str) -> list[str]:
    """A severity and those above it."""
    return list(SEVERITIES[SEVERITIES.index(severity) :])


def texts_of(conn: Connection, template_ids: Iterable[str]) -> dict[str, str]:
    """The names of templates, or their texts where people gave them none, by their ids."""
    query = sa.text(
        "SELECT template_id, coalesce(name, text) FROM loganalyzer.template_catalogue "
        "WHERE template_id = ANY(:ids)"
    )
    return {key: text for key, text in conn.execute(query, {"ids": sorted(set(template_ids))})}


def _conditions(wanted: Wanted) -> list[str]:
    of_severity = ", ".join(f"'{each}'" for each in severities_from(wanted.minimum_severity))
    told = {
        "source = :source": wanted.source,
        # Written out, since the indexes for the severe ones are found by the words.
        f"severity IN ({of_severity})": wanted.minimum_severity != SEVERITIES[0] or None,
        "window_start >= :start": wanted.start,
        "window_start < :end": wanted.end,
        "session_key = :session": wanted.session,
        "reason ILIKE :text": wanted.text,
        OF_INCIDENT: wanted.incident_id,
    }
    return [condition for condition, value in told.items() if value is not None]


def _beyond(names: Sequence[str]) -> str:
    return f"({', '.join(names)}) < ({', '.join(f':after_{name}' for name in names)})"
