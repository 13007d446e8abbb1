"""Grouping: the anomalies of nights in, incidents in Postgres out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from include.database import Connection, catalogue, incidents
from include.lake.events import events_at
from include.workspace import Workspace
from ml.incidents import (
    EXPIRY,
    LEVELS,
    Incident,
    Sighting,
    State,
    group,
    severity_of,
    state_of,
    title,
    words_of,
)

log = logging.getLogger(__name__)

Row = dict[str, Any]
Address = tuple[str, int]
# The component and the worst log level of the lines that an anomaly names.
Origin = tuple[str | None, str | None]


def group_nights(workspace: Workspace, nights: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """`group_from` the first of the nights that a run has scored, for a task: ISO times in, the
    counts out."""
    if not nights:
        return {"incidents": 0, "anomalies": 0}
    since = min(datetime.fromisoformat(night["start"]) for night in nights)
    grouped = group_from(workspace, since)
    counts = {
        "incidents": len(grouped),
        "anomalies": sum(len(each.sightings) for each in grouped),
    }
    log.info("since %s: %s", since, counts)
    return counts


def group_from(workspace: Workspace, since: datetime) -> list[Incident]:
    """Group the anomalies of the nights that start at `since` or later, of all sources, and replace
    their incidents; those that began before and may go on are taken up where they were then.

    All of it is one transaction, and one at a time. Doing it again changes no row, and nights give
    the same incidents one by one as all at once: call it with the earliest night whose anomalies
    have changed.
    """
    alive = since - EXPIRY
    with workspace.engine.begin() as conn:
        incidents.lock(conn)
        known = incidents.known(conn, alive)
        new = incidents.anomalies_from(conn, since)
        before = incidents.anomalies_before(conn, since, alive)
        rows = [*new, *before]
        text_of = _texts(conn, {row["source"] for row in rows})
        closed = _closed(known)
        grouped = group(*_sightings(new, before, text_of), closed)
        origins = _origins(workspace, grouped, known, rows)
        newest = incidents.newest_nights(conn)
        found = [
            _as_row(each, rows[each.oddest.row], origins[each.incident_id], text_of)
            | {"state": _state(each, closed, newest)}
            for each in grouped
        ]
        parts = {
            _key(rows[each.row]): incident.incident_id
            for incident in grouped
            for each in incident.sightings
            if each.night >= since
        }
        gone = sorted(known.keys() - {each.incident_id for each in grouped})
        incidents.replace_from(conn, since, found, gone, parts)
        incidents.expire(conn, EXPIRY)
    return grouped


def _texts(conn: Connection, sources: set[str]) -> Callable[[str], str]:
    """The text of a template by its id, which no two sources share."""
    texts: dict[str, str] = {}
    for source in sources:
        texts |= catalogue.template_texts(conn, source)
    return lambda template: texts.get(template, template)


def _sightings(
    new: Sequence[Row], before: Sequence[Row], text_of: Callable[[str], str]
) -> tuple[list[Sighting], dict[str, list[Sighting]]]:
    """What to group, and what earlier nights have of each incident; rows are numbered through."""
    earlier: dict[str, list[Sighting]] = {}
    for number, row in enumerate(before, start=len(new)):
        earlier.setdefault(row["incident_id"], []).append(_sighting(number, row, text_of))
    return [_sighting(number, row, text_of) for number, row in enumerate(new)], earlier


def _sighting(number: int, row: Row, text_of: Callable[[str], str]) -> Sighting:
    return Sighting(
        row=number,
        source=row["source"],
        window_id=row["window_id"],
        night=row["interval_start"],
        start=row["window_start"],
        end=row["window_end"],
        score=row["score"],
        severity=row["severity"],
        signature=row["signature"],
        words=words_of(row["signature"], text_of),
        session_key=row["session_key"],
    )


def _closed(known: Mapping[str, Row]) -> dict[str, datetime]:
    return {key: row["resolved_night"] for key, row in known.items() if row["resolved_at"]}


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in incidents.KEY)


def _as_row(incident: Incident, oddest: Row, origin: Origin, text_of: Callable[[str], str]) -> Row:
    """Of the table, but for the state."""
    component, level = origin
    keys = {(each.source, each.session_key) for each in incident.sightings if each.session_key}
    return {
        "incident_id": incident.incident_id,
        "title": title(incident, text_of, component),
        "reason": oddest["reason"],
        "signature": incident.sightings[0].signature,
        "sources": incident.sources,
        "started_at": incident.started_at,
        "ended_at": incident.ended_at,
        "first_night": incident.sightings[0].night,
        "last_night": incident.last.night,
        "anomalies": len(incident.sightings),
        "sessions": len(keys),
        "severity": severity_of(incident, level),
        "score": incident.oddest.score,
        "component": component,
        "level": level,
    }


def _state(
    incident: Incident, closed: Mapping[str, datetime], newest: Mapping[str, datetime]
) -> State:
    if incident.incident_id in closed:
        return "resolved"
    newest_night = max(newest[source] for source in incident.sources)
    return state_of(incident.sightings[0].night, incident.last.night, newest_night)


def _origins(
    workspace: Workspace, grouped: Sequence[Incident], known: Mapping[str, Row], rows: Sequence[Row]
) -> dict[str, Origin]:
    """Where each incident comes from, read out of the lake once, when it is new: the lines may be
    gone later."""
    found = {key: (row["component"], row["level"]) for key, row in known.items()}
    by_source: dict[str, dict[str, list[Address]]] = {}
    for incident in grouped:
        if incident.incident_id not in found:
            first = rows[incident.sightings[0].row]
            lines = [(line["object_key"], line["line_number"]) for line in first["lines"]]
            by_source.setdefault(first["source"], {})[incident.incident_id] = lines
    for source, lines_of in by_source.items():
        found |= _origins_in(workspace, source, lines_of)
    return found


def _origins_in(
    workspace: Workspace, source: str, lines_of: Mapping[str, list[Address]]
) -> dict[str, Origin]:
    """Of the incidents of one source, by the addresses of their lines."""
    addresses = [line for lines in lines_of.values() for line in lines]
    events = events_at(workspace, source, addresses, ["component", "severity"])
    told = {(key, number): origin for key, number, *origin in events.rows()}
    found: dict[str, Origin] = {}
    for incident_id, lines in lines_of.items():
        of_lines = [told[line] for line in lines if line in told]
        components = Counter(component for component, _ in of_lines if component)
        levels = [level for _, level in of_lines if level in LEVELS]
        found[incident_id] = (
            max(components, key=lambda each: components[each], default=None),
            max(levels, key=LEVELS.index, default=None),
        )
    return found
