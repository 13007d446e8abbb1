"""Memory: the past anomalies that one is like, and what people said of them."""

from __future__ import annotations

from typing import Any

from include.database import anomalies
from include.workspace import Workspace
from ml.memory import nearest

# The newest ones are remembered: a source with more anomalies has other troubles.
REMEMBERED = 10_000


def similar(
    workspace: Workspace, source: str, window_or_session: str, count: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An anomaly, the newest of its window or session, and the past ones of its source that are
    most like it, the most alike first, each with its `similarity` and `is_anomalous`: what people
    said, None where they said nothing. Raises anomalies.NoSuchAnomaly.
    """
    with workspace.engine.connect() as conn:
        found = anomalies.with_sequence(conn, source, window_or_session)
        past = anomalies.before(conn, found, REMEMBERED)
        (like,) = nearest([found["sequence"]], [each["sequence"] for each in past], count)
        chosen = [{**past[each.place], "similarity": each.similarity} for each in like]
        said = anomalies.judged(conn, source, [each["window_id"] for each in chosen])
    return found, [{**each, "is_anomalous": said.get(each["window_id"])} for each in chosen]
