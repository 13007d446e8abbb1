"""docs/sql.md: each query runs as an analyst on a real run, and answers what the document shows."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from include import monitoring, tracking
from include.database import ROLES, feedback, migrate
from include.database.feedback import Subject
from include.incidents import group_nights
from include.nights import plan
from include.scoring import score_night, shadow_night
from include.settings import PROJECT_ROOT, get_settings
from include.training.jobs import Judged
from include.workspace import Workspace, open_workspace
from services.cli.common import printable
from services.local import Stack
from services.simulator import simulate
from tests.include.database.conftest import new_database

DOCUMENT = PROJECT_ROOT / "docs" / "sql.md"
# Title, query, and, once it is written, the answer.
QUESTION = re.compile(r"^## (.+?\?)\n(.*?)^```sql\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.M | re.S)
SHOWN_ROWS, SHOWN_CHARACTERS = 6, 60
SOURCE = "storage"
DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 1, tzinfo=UTC)

Answer = tuple[list[str], list[sa.Row[Any]]]


def questions() -> dict[str, re.Match[str]]:
    return {found[1]: found for found in QUESTION.finditer(DOCUMENT.read_text())}


@pytest.fixture(scope="module")
def space(stack: Stack) -> Iterator[Workspace]:
    """A database of its own, so that no other test's source is in the answers."""
    with new_database() as url, pytest.MonkeyPatch.context() as patch:
        migrate(url)
        patch.setenv("LOGANALYZER_DATABASE_URL", url)
        patch.setenv("LOGANALYZER_SOURCES_PATH", str(PROJECT_ROOT / "include" / "sources"))
        get_settings.cache_clear()
        open_workspace.cache_clear()
        yield open_workspace()
        open_workspace().engine.dispose()
    get_settings.cache_clear()
    open_workspace.cache_clear()


@pytest.fixture(scope="module")
def run(
    space: Workspace,
    ingest: Callable[[Workspace, str], int],
    train: Callable[..., Judged],
    crown: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    """Five days, as the document tells it, and a night that no logs came for."""
    written = simulate(tmp_path_factory.mktemp("samples"), FIRST.date(), days=5)
    for path in written.files:
        data = path.read_bytes()
        if path == written.files[0]:
            data = gzip.compress(b"no log line\n" + gzip.decompress(data), mtime=0)
        key = str(path.relative_to(written.folder))
        space.store.put_bytes(space.settings.bucket_logs, key, data)
    ingest(space, SOURCE)
    score(space, 2, 3)
    crown(space, SOURCE, FIRST, FIRST + 3 * DAY)
    score(space, 4, 5)
    score(space, 7, 7)
    period = FIRST.isoformat(), (FIRST + 3 * DAY).isoformat()
    known = (FIRST + 4 * DAY).isoformat()
    train(space, SOURCE, *period, families=["one_class_svm"], policy="never", known_until=known)
    shadow_night(space, SOURCE, *(night(5)))
    champion = tracking.champion(tracking.connect(space.settings), SOURCE)
    assert champion
    score_night(space, SOURCE, *night(3), model_version=champion.version)
    monitoring.monitor_day(space, SOURCE, "2026-03-05")
    say(space)
    return space


def night(day: int) -> tuple[str, str]:
    """The start and end of a day of March."""
    return (FIRST + (day - 1) * DAY).isoformat(), (FIRST + day * DAY).isoformat()


def score(space: Workspace, first: int, last: int) -> None:
    """What `score_nightly` does for days of March."""
    days = {"first_day": str(date(2026, 3, first)), "last_day": str(date(2026, 3, last))}
    planned = plan(space, {"source": SOURCE, "model_version": None, **days}, datetime.now(UTC))
    for each in planned:
        score_night(space, **each)
    group_nights(space, planned)


def say(space: Workspace) -> None:
    """Of the kinds that name templates, the commonest of the fifth is real, and that of the fourth
    a false alarm."""
    commonest = sa.text(
        "SELECT min(window_id) FROM loganalyzer.current_anomalies WHERE interval_start = :night "
        "AND sequence <> '[]' AND signature <> 'rare' "
        "GROUP BY signature ORDER BY count(*) DESC, signature LIMIT 1"
    )
    said = ((5, "true", "the index was overloaded"), (4, "false", "a rack was moved"))
    with space.engine.begin() as conn:
        for day, verdict, reason in said:
            window = conn.scalar(commonest, {"night": night(day)[0]})
            feedback.give(conn, Subject(SOURCE, window), verdict, reason, "ada")


@pytest.fixture(scope="module")
def analyst(stack: Stack, run: Workspace) -> Iterator[sa.Engine]:
    own = run.engine.url
    password = stack.state().secrets["postgres_password"]
    superuser = sa.create_engine(
        own.set(username="postgres", password=password, database="postgres"),
        isolation_level="AUTOCOMMIT",
    )
    login = f"test_{uuid4().hex[:12]}"
    with superuser.connect() as conn:
        conn.execute(sa.text(f"CREATE ROLE {login} LOGIN IN ROLE {ROLES[1]} PASSWORD 'a-test'"))
    engine = sa.create_engine(
        own.set(username=login, password="a-test"),  # noqa: S106  of a test
        connect_args={"options": "-c TimeZone=UTC"},
    )
    yield engine
    engine.dispose()
    with superuser.connect() as conn:
        conn.execute(sa.text(f"DROP ROLE {login}"))
    superuser.dispose()


@pytest.fixture(scope="module")
def answers(analyst: sa.Engine) -> dict[str, Answer]:
    """What each query gives; written into the document where that is wanted."""
    found = {}
    with analyst.connect() as conn:
        for title, question in questions().items():
            result = conn.execute(sa.text(question[3].replace(":", r"\:")))
            found[title] = list(result.keys()), list(result.all())
    if os.environ.get("LOGANALYZER_WRITE_DOCS"):
        DOCUMENT.write_text(
            QUESTION.sub(lambda each: written(each, found[each[1]]), DOCUMENT.read_text())
        )
    return found


def written(question: re.Match[str], answer: Answer) -> str:
    title, text, query, _ = question.groups()
    return f"## {title}\n{text}```sql\n{query}```\n\n```\n{shown(*answer)}```\n"


def shown(columns: list[str], rows: list[sa.Row[Any]]) -> str:
    cells = [columns, *([cell(value) for value in row] for row in rows[:SHOWN_ROWS])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    more = len(rows) - SHOWN_ROWS
    return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])]) + "\n"


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = printable(f"{value:.4g}" if isinstance(value, float) else str(value))
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def test_there_are_fifteen_questions() -> None:
    assert len(questions()) >= 15
    assert DOCUMENT.read_text().count("```sql") == len(questions())


@pytest.mark.parametrize("title", questions())
def test_a_query_answers_with_rows_of_the_columns_that_are_shown(
    answers: dict[str, Answer], title: str
) -> None:
    columns, rows = answers[title]
    assert rows
    header, _, *lines = questions()[title][4].splitlines()
    assert [name.strip() for name in header.split(" | ")] == columns
    assert lines
