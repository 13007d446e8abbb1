"""A posted log is judged as its night is, and leaves nothing behind."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from include import posted
from include.scoring import score_interval
from include.sources import InvalidSource, LogSource
from include.workspace import Workspace, open_workspace
from services.simulator import simulate

FIRST = datetime(2026, 3, 2, tzinfo=UTC)
HOURS, LATER = 8, 3
LEARNT = FIRST + timedelta(hours=HOURS - LATER)
FILE = """
name: {name}
format: log4j
redact: [ipv4]
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""


def with_source(space: Workspace, name: str) -> Workspace:
    Path(space.settings.sources_path, f"{name}.yaml").write_text(FILE.format(name=name))
    open_workspace.cache_clear()
    return open_workspace()


def judged(
    space: Workspace, text: bytes, source: LogSource | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The anomalies, the oddest first, and the summary."""
    *found, summary = posted.judge(
        space, posted.log_of(BytesIO(text), source, space.settings.chunk_lines)
    )
    assert summary["kind"] == "summary"
    assert summary["anomalies"] == len(found)
    return sorted(found, key=lambda each: (-each["score"], each["session_key"])), summary


def rows_of_database(space: Workspace) -> dict[str, int]:
    tables = ("template_catalogue", "template_changes", "events_ledger", "anomalies", "scorings")
    with space.engine.connect() as conn:
        count = "SELECT count(*) FROM loganalyzer."
        return {table: conn.scalar(sa.text(count + table)) or 0 for table in tables}


def objects_of(space: Workspace) -> set[str]:
    buckets = space.settings.bucket_logs, space.settings.bucket_lake
    return {each.key for bucket in buckets for each in space.store.list(bucket, "")}


@pytest.fixture
def trained(
    workspace: Workspace,
    ingest: Callable[[Workspace, str], int],
    crown: Callable[..., str],
    tmp_path: Path,
) -> tuple[Workspace, bytes]:
    """Some hours of sample logs, a champion that has learnt the first of them, and the lines of
    those after."""
    space = with_source(workspace, "posted_app")
    written = simulate(tmp_path / "samples", FIRST.date(), days=1)
    texts = [gzip.decompress(path.read_bytes()) for path in sorted(written.files)[:HOURS]]
    for hour, text in enumerate(texts):
        space.store.put_bytes(space.settings.bucket_logs, f"posted_app/{hour:02}.log", text)
    ingest(space, "posted_app")
    crown(space, "posted_app", FIRST, LEARNT)
    return space, b"".join(texts[-LATER:])


def by_session(anomalies: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Of the windows that began when the log had begun."""
    named = ("window_start", "window_end", "score", "severity", "reason", "events")
    return {
        each["session_key"]: tuple(each[name] for name in named)
        for each in anomalies
        if each["session_key"] and each["window_start"] > LEARNT + timedelta(minutes=30)
    }


def test_a_log_is_judged_as_its_night_is_at_once_or_in_parts_and_nothing_is_kept(
    trained: tuple[Workspace, bytes],
    ingest: Callable[[Workspace, str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space, text = trained
    source = space.source("posted_app")
    strange = b"".join(
        b"2026-03-02 07:59:%02d,000 ERROR store.Disk: req=%08x disk sd%c at 10.1.2.3 burns\n"
        % (n, n % 2, 97 + n)
        for n in range(20)
    )
    before = rows_of_database(space), objects_of(space)
    found, summary = judged(space, text + strange, source)
    assert (rows_of_database(space), objects_of(space)) == before
    assert summary["model"] == {"version": "1", "family": "novelty"}
    assert summary["lines"] == text.count(b"\n") + 20
    assert summary["new_templates"] == 1
    burning = next(each for each in found if each["session_key"] == "00000001")
    finding = burning["explanation"][0]
    assert (finding["kind"], finding["template_id"]) == ("new", None)
    assert finding["text"].startswith("req=<*> disk <*> at [ipv")
    line = burning["lines"][0]
    as_sent = (text + strange).split(b"\n")[line["line_number"] - 1].decode()
    assert as_sent.endswith(line["text"].replace("[ipv4]", "10.1.2.3"))

    monkeypatch.setattr(posted, "EVENTS_AT_ONCE", 300)
    in_chunks = replace(space, settings=space.settings.model_copy(update={"chunk_lines": 500}))
    assert judged(in_chunks, text + strange, source) == (found, summary)

    space.store.put_bytes(space.settings.bucket_logs, "posted_app/strange.log", strange)
    ingest(space, "posted_app")
    score_interval(space, source, FIRST, FIRST + timedelta(days=1))
    query = sa.text("SELECT * FROM loganalyzer.anomalies WHERE source = 'posted_app'")
    with space.engine.connect() as conn:
        nightly = [dict(row) for row in conn.execute(query).mappings()]
    assert by_session(found) == by_session(nightly)
    assert len(by_session(found)) >= 2


@pytest.mark.parametrize(
    "windowing", ["{kind: time, size: 10m, step: 5m}", "{kind: count, size: 10, step: 5}"]
)
def test_without_a_champion_windows_are_judged_against_each_other(
    workspace: Workspace, windowing: str
) -> None:
    lines = [f"2026-03-02 {n // 60:02}:{n % 60:02}:00 INFO app: job {n} done" for n in range(600)]
    lines[333] = "2026-03-02 05:33:00 ERROR app: disk full <script>alert(1)</script>"
    source = LogSource.model_validate(
        {"name": "nobodys", "format": "python", "windowing": yaml.safe_load(windowing)}
    )
    found, summary = judged(workspace, "\n".join(lines).encode(), source)
    assert (summary["model"], summary["source"]) == (None, "nobodys")
    told = {line["text"] for each in found for line in each["lines"]}
    assert "app: disk full <script>alert(1)</script>" in told


def test_how_a_log_reads_is_found_out_where_nobody_says(workspace: Workspace) -> None:
    text = "".join(
        f"2026-03-02 10:{n // 60:02}:{n % 60:02} INFO app: req_{n // 4:05x} step {n % 4}\n"
        for n in range(400)
    )
    text += "2026-03-02 11:00:00 ERROR app: req_fffff \x00 broke\nnonsense\n"
    found, summary = judged(workspace, text.encode(), None)
    assert [each["session_key"] for each in found] == ["req_fffff"]
    assert summary["source"] is None
    assert summary["quarantined"] == [
        {
            "line_number": 402,
            "reason": "does not match the line format of source posted",
            "text": "nonsense",
        }
    ]


def test_what_cannot_be_judged_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(posted.Unfit, match="compressed"):
        posted.log_of(BytesIO(gzip.compress(b"x")), None, 1000)
    with pytest.raises(InvalidSource, match="no known format"):
        posted.log_of(BytesIO(b"what is this\n" * 20), None, 1000)
    monkeypatch.setattr(posted, "EVENTS_AT_ONCE", 10)
    text = "".join(f"2026-03-02 10:00:{n:02} INFO app: x\n" for n in range(60))
    log = posted.log_of(BytesIO(text.encode()), None, 1000)
    with pytest.raises(posted.Unfit, match="60 events and no champion"):
        list(posted.judge(workspace, log))
