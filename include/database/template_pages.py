"""Templates in pages, and the days of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from include.database.browsing import pattern

Sort = Literal["count", "first_seen"]

# A template without events is older than any.
ORDERS: dict[Sort, str] = {
    "count": "count",
    "first_seen": "coalesce(first_seen_utc, timestamptz '1970-01-01 00:00 UTC')",
}
SHOWN = "template_id, source, text, name, first_seen_utc, last_seen_utc, count, per_day, example"
ONE = sa.text(
    f"SELECT {SHOWN} FROM loganalyzer.templates WHERE template_id = ("  # noqa: S608  our names
    "SELECT survivor_id FROM loganalyzer.template_survivors WHERE template_id = :template_id)"
)
BY_DAY = sa.text(
    """
    SELECT CAST(c.first_seen_utc AT TIME ZONE 'UTC' AS date) AS day,
           CAST(sum(c.count) AS bigint) AS events
    FROM loganalyzer.template_counts AS c
    JOIN loganalyzer.events_ledger AS o ON o.object_id = c.object_id AND o.state = 'ingested'
    JOIN loganalyzer.template_survivors AS s ON s.template_id = c.template_id
    WHERE s.survivor_id = :template_id
    GROUP BY day ORDER BY day
    """
)


def page(
    conn: Connection,
    limit: int,
    source: str | None = None,
    text: str | None = None,
    new_since: datetime | None = None,
    sort: Sort = "count",
    after: Sequence[Any] | None = None,
) -> list[dict[str, Any]]:
    """So many rows of the view `templates`, the most frequent or the newest first, each with the
    value that it is sorted by as `place`.

    text: part of the text or the name, or the id. new_since: only those whose first event is not
    before it. after: the `place` and the id of the last row of the page before.
    """
    told = {
        "source = :source": source,
        "first_seen_utc >= :new_since": new_since,
        "(text ILIKE :like OR name ILIKE :like OR template_id = :text)": text,
        f"({ORDERS[sort]}, template_id) < (:place, :template_id)": after,
    }
    conditions = [condition for condition, value in told.items() if value is not None]
    query = sa.text(
        f"SELECT {SHOWN}, {ORDERS[sort]} AS place FROM loganalyzer.templates "  # noqa: S608  ours
        f"WHERE {' AND '.join(conditions) or 'true'} "
        "ORDER BY place DESC, template_id DESC LIMIT :limit"
    )
    place, template_id = after or (None, None)
    values = {
        "source": source,
        "text": text,
        "like": text and pattern(text),
        "new_since": new_since,
        "place": place,
        "template_id": template_id,
        "limit": limit,
    }
    return [dict(row) for row in conn.execute(query, values).mappings()]


def template(conn: Connection, template_id: str) -> dict[str, Any] | None:
    """The row of the view `templates` of a template, or of what it was merged into."""
    row = conn.execute(ONE, {"template_id": template_id}).mappings().one_or_none()
    return None if row is None else dict(row)


def by_day(conn: Connection, template_id: str) -> list[dict[str, Any]]:
    """Events of each UTC day that had any. What an object holds counts on the day of the first
    event of the template in it."""
    return [dict(row) for row in conn.execute(BY_DAY, {"template_id": template_id}).mappings()]
