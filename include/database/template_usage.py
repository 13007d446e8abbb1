"""How often, since when and where templates occur, redirects followed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

USAGE = sa.text("""
SELECT source, template_id, text, name, first_seen_utc, last_seen_utc, count, per_day, example
FROM loganalyzer.templates
WHERE (cast(:source AS text) IS NULL OR source = :source)
  AND (cast(:new_since AS timestamptz) IS NULL OR first_seen_utc >= :new_since)
ORDER BY source, count DESC, template_id
""")
# Of an object that holds events from both sides of the moment only the total is known: it is split
# as if its events came evenly, with its first before and its last since.
AROUND = sa.text("""
SELECT template_id, text, sum(before)::bigint AS before, sum(count - before)::bigint AS since
FROM (
    SELECT s.survivor_id AS template_id, c.count, CASE
        WHEN c.last_seen_utc < :moment THEN c.count
        WHEN c.first_seen_utc >= :moment THEN 0
        ELSE greatest(1, least(c.count - 1, round(c.count
            * extract(epoch FROM :moment - c.first_seen_utc)
            / extract(epoch FROM c.last_seen_utc - c.first_seen_utc))))
        END AS before
    FROM loganalyzer.template_counts AS c
    JOIN loganalyzer.events_ledger AS o ON o.object_id = c.object_id AND o.state = 'ingested'
    JOIN loganalyzer.template_survivors AS s ON s.template_id = c.template_id
    WHERE o.source = :source
) AS split
JOIN loganalyzer.template_catalogue USING (template_id)
GROUP BY template_id, text
""").bindparams(sa.bindparam("moment", type_=sa.DateTime(timezone=True)))


@dataclass(frozen=True, slots=True)
class UseAround:
    """Events of a template before a moment and since."""

    template_id: str
    text: str
    before: int
    since: int


def usage(conn: Connection, source: str | None, new_since: datetime | None) -> list[dict[str, Any]]:
    """The rows of the view `templates`, the most frequent of each source first.

    source: None for all. new_since: only templates whose first event is not before it.
    """
    rows = conn.execute(USAGE, {"source": source, "new_since": new_since}).mappings()
    return [dict(row) for row in rows]


def usage_around(conn: Connection, source: str, moment: datetime) -> list[UseAround]:
    """Events of each template of a source before the moment and since."""
    rows = conn.execute(AROUND, {"source": source, "moment": moment})
    return [UseAround(*row) for row in rows]
