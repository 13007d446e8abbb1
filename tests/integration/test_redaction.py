"""What a source redacts is in nothing that is stored or told."""

from __future__ import annotations

import gzip
import io
import json
import logging
import uuid
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from include.scoring import score_night
from include.workspace import Workspace, open_workspace
from services.cli import app
from services.local import Stack
from services.local.environment import database_url

Ingest = Callable[[Workspace, str], int]

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SESSIONS = 80
DATABASES = ("loganalyzer", "mlflow")
ALL_COLUMNS = """
SELECT table_schema, table_name, column_name FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
"""


class Secrets:
    """Values that stand nowhere else, by the way they come into a log."""

    def __init__(self) -> None:
        self.by_way = {
            way: f"zq{uuid.uuid4().hex}"
            for way in ("message", "error", "trace", "component", "session", "lost", "url")
        }

    def log(self, day: datetime) -> str:
        lines = []
        way = self.by_way
        for number in range(SESSIONS):
            at = day + number * timedelta(minutes=15)
            head = f"{at:%Y-%m-%d %H:%M:%S},000 INFO"
            lines += [
                f"{head} app.Login: req={number:08x} password={way['message']} accepted",
                f"{head} app.{way['component']}@example.org: req={number:08x} hello",
                f"{head} app.Store: req={number:08x} open https://u:{way['url']}@db/{number}",
            ]
        odd = f"{day + timedelta(hours=23):%Y-%m-%d %H:%M:%S},000 ERROR app.Login:"
        lines += [
            f"{odd} req={way['session']}@example.org gone",
            f"{odd} req=feedbeef token: {way['error']} refused for {way['error']}@example.org",
            "java.lang.IllegalStateException: no such user",
            f"\tat app.Login.check({way['trace']}@example.org)",
            f"no line of the format, secret='{way['lost']}'",
        ]
        return "".join(f"{line}\n" for line in lines)

    def found_in(self, text: str) -> set[str]:
        return {way for way, secret in self.by_way.items() if secret in text}


@pytest.mark.parametrize("is_redacted", [True, False])
def test_secrets_are_stored_only_where_nothing_is_redacted(
    is_redacted: bool,
    stack: Stack,
    workspace: Workspace,
    ingest: Ingest,
    crown: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets, name = Secrets(), f"redacted_{is_redacted}".lower()
    told = run_pipeline(workspace, name, secrets, is_redacted, ingest, crown)
    found = secrets.found_in(told + caplog.text)
    for text in (*stored_objects(workspace), *stored_rows(stack)):
        found |= secrets.found_in(text)
    assert found == (set() if is_redacted else set(secrets.by_way))


def run_pipeline(
    workspace: Workspace,
    name: str,
    secrets: Secrets,
    is_redacted: bool,
    ingest: Ingest,
    crown: Callable[..., str],
) -> str:
    """From objects to anomalies; what the commands print."""
    redact = "redact: [email, secret, url_password]" if is_redacted else ""
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(
        f"name: {name}\nformat: log4j\n{redact}\n"
        "windowing: {kind: session, key: 'req=(\\S+)', idle_timeout: 30m, longest_span: 6h}\n"
    )
    open_workspace.cache_clear()
    space = open_workspace()
    for day in (START, START + DAY):
        key = f"{name}/{day:%d}.log"
        space.store.put_bytes(space.settings.bucket_logs, key, secrets.log(day).encode())
    # Staged data is searched too: it is not cleared away.
    ingest(space, name)
    crown(space, name, START, START + DAY)
    score_night(space, name, (START + DAY).isoformat(), (START + 2 * DAY).isoformat())
    verbs = (["anomalies"], ["templates", "list"], ["sources", "list"])
    answers = [
        CliRunner().invoke(app, [*verb, *option, "--json"])
        for verb in verbs
        for option in ([] if verb[0] == "sources" else ["--source", name],)
    ]
    assert [answer.exit_code for answer in answers] == [0] * len(verbs)
    assert json.loads(answers[0].stdout), "no anomaly, no reason and no lines to look through"
    return "".join(answer.output for answer in answers)


def stored_objects(space: Workspace) -> Iterator[str]:
    """The text of all objects that are ours: the bucket with the logs is the user's."""
    client = space.store
    for bucket in (space.settings.bucket_lake, space.settings.bucket_docs, "mlflow"):
        for stored in client.list(bucket):
            yield stored.key
            yield from texts_of(client.get_bytes(bucket, stored.key))


def texts_of(data: bytes) -> Iterator[str]:
    """The text in a file, unpacked where it is packed."""
    if data.startswith(b"PAR1"):
        yield json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from texts_of(archive.read(member))
    elif data.startswith(b"\x1f\x8b"):
        yield from texts_of(gzip.decompress(data))
    else:
        # NumPy writes text with four bytes a character.
        yield data.decode("latin-1").replace("\0", "")


def stored_rows(stack: Stack) -> Iterator[str]:
    for database in DATABASES:
        engine = sa.create_engine(database_url(stack.state(), database))
        with engine.connect() as conn:
            for schema, table, column in conn.execute(sa.text(ALL_COLUMNS)).all():
                cells = f'SELECT "{column}"::text FROM "{schema}"."{table}"'
                yield from (cell for cell in conn.scalars(sa.text(cells)) if cell)
        engine.dispose()
