"""Under the real scheduler: a batch that cannot be written does not hold up the others."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from include.workspace import Workspace, open_workspace
from services.airflow_api import AirflowError
from services.local import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SOURCE = "name: {name}\nformat: log4j\nwindowing: {{kind: time, size: 5m, step: 5m}}\n"
LINE = b"2026-03-02 10:00:01,000 INFO a.B: hello\n"


def test_a_batch_that_cannot_be_written_is_published_when_it_can(airflow_stack: Stack) -> None:
    space = open_workspace()
    sources = airflow_stack.folder / "sources"
    sources.mkdir(exist_ok=True)
    for name in ("one", "two"):
        (sources / f"{name}.yaml").write_text(SOURCE.format(name=name))
        space.store.put_bytes(space.settings.bucket_logs, f"{name}/a.log", LINE)
    # An object where the part needs a folder.
    in_the_way = "events/source=one/date=2026-03-02/hour=10"
    space.store.put_bytes(space.settings.bucket_lake, in_the_way, b"")
    airflow = airflow_stack.airflow()
    airflow.unpause("ingest_logs")
    with pytest.raises(AirflowError, match="failed"):
        airflow.wait("ingest_logs", airflow.trigger("ingest_logs", {}), seconds=300)
    assert published(space) == ["two/a.log"]
    space.store.delete(space.settings.bucket_lake, [in_the_way])
    airflow.wait("ingest_logs", airflow.trigger("ingest_logs", {}), seconds=300)
    assert published(space) == ["one/a.log", "two/a.log"]


def published(space: Workspace) -> list[str]:
    query = "SELECT object_key FROM loganalyzer.events_ledger WHERE state = 'ingested' ORDER BY 1"
    with space.engine.connect() as conn:
        return list(conn.scalars(sa.text(query)))
