"""Scoring: the same whoever does it how often, and each row leads to the bytes of its lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from include import tracking
from include.lake.events import read_windows
from include.lake.parts import windows_in_parts
from include.scoring import score_interval, score_night
from include.sources import load_source
from include.training.jobs import Judged
from include.workspace import Workspace, open_workspace
from ml.explanation import LINES_OF_EXPLANATION
from services.cli import app
from services.simulator import simulate

SOURCE = "scored"
DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
SECOND, THIRD = FIRST + DAY, FIRST + 2 * DAY
FILE = """
name: {name}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""
LINES_FOLLOWED = 1000
# What steers a terminal, a page, a database or a reader, each on a line of its own.
HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "'); DROP TABLE loganalyzer.anomalies; --",
    "nul \x00 inside",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07 \x08\x08\x08",
    "right-to-left \u202etxt.exe\u202c \u2066hidden\u2069",
    "[bold red]markup[/] [link=http://evil]x[/link] {braces} %s %(x)s $(id) `id`",
    "\\N \\. \"quoted\", 'single'",
]


@pytest.fixture
def space(workspace: Workspace) -> Workspace:
    for name in (SOURCE, "hostile"):
        Path(workspace.settings.sources_path, f"{name}.yaml").write_text(FILE.format(name=name))
    open_workspace.cache_clear()
    return open_workspace()


@pytest.fixture
def judged(
    space: Workspace,
    ingest: Callable[[Workspace, str], int],
    train: Callable[..., Judged],
    tmp_path: Path,
) -> Workspace:
    """Two days of sample logs, and a champion with so large a budget that it flags very many."""
    written = simulate(tmp_path / "samples", FIRST.date(), days=2)
    for path in written.files:
        key = f"{SOURCE}/{path.relative_to(written.folder)}"
        space.store.put_bytes(space.settings.bucket_logs, key, path.read_bytes())
    ingest(space, SOURCE)
    period = FIRST.isoformat(), SECOND.isoformat()
    said = {"alerts_per_day": 2000, "policy": "never", "known_until": THIRD.isoformat()}
    version = train(space, SOURCE, *period, **said)["version"]
    tracking.promote(tracking.connect(space.settings), SOURCE, version, "a test wants it so")
    return space


def rows_of(space: Workspace, source: str = SOURCE) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT * FROM loganalyzer.anomalies WHERE source = :source ORDER BY window_id, detector"
    )
    with space.engine.connect() as conn:
        return [dict(row) for row in conn.execute(query, {"source": source}).mappings()]


def test_twice_in_parallel_and_in_halves_give_the_same_rows(judged: Workspace) -> None:
    night = (SOURCE, SECOND.isoformat(), THIRD.isoformat())
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: score_night(judged, *night), range(2)))
    assert both[0] == both[1]
    whole = rows_of(judged)
    assert len(whole) > 100
    score_night(judged, *night)
    assert rows_of(judged) == whole

    halves = judged.source(SOURCE)
    for start in (SECOND, SECOND + DAY / 2):
        score_interval(judged, halves, start, start + DAY / 2)
    in_halves = [
        row for row in rows_of(judged) if row["interval_end"] - row["interval_start"] < DAY
    ]
    assert comparable(in_halves) == comparable(whole)


def test_a_night_in_parts_gives_the_same_rows_as_at_once(
    judged: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = (SOURCE, SECOND.isoformat(), THIRD.isoformat())
    told = score_night(judged, *night)
    whole = rows_of(judged)
    monkeypatch.setattr("include.lake.parts.EVENTS_AT_ONCE", 3000)
    source = judged.source(SOURCE)
    assert len(list(windows_in_parts(judged, source, SECOND, THIRD))) > 3
    assert score_night(judged, *night) == told
    assert rows_of(judged) == whole


@pytest.mark.parametrize(
    "windowing",
    [
        "{kind: time, size: 10m, step: 5m}",
        "{kind: count, size: 100, step: 50}",
    ],
)
def test_windows_of_time_and_of_events_are_the_same_in_parts(
    judged: Workspace, windowing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(judged.settings.sources_path, f"{SOURCE}.yaml")
    session = path.read_text().splitlines()[-1]
    path.write_text(path.read_text().replace(session, f"windowing: {windowing}"))
    source = load_source(path)
    whole = read_windows(judged, source, SECOND, THIRD)
    monkeypatch.setattr("include.lake.parts.EVENTS_AT_ONCE", 3000)
    parts = list(windows_in_parts(judged, source, SECOND, THIRD))
    assert [window for part in parts for window in part.spans.rows()] == whole.spans.rows()
    assert sum(len(part.events) for part in parts) == len(whole.events)


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is said of windows; rates are those of hours next to each other, and so of the night."""
    return [
        {name: value for name, value in row.items() if not name.startswith("interval_")}
        for row in rows
        if row["detector"] != "rate"
    ]


def test_rows_lead_to_the_bytes_of_their_lines(judged: Workspace) -> None:
    score_night(judged, SOURCE, SECOND.isoformat(), THIRD.isoformat())
    addresses = [
        (row["session_key"], line["object_key"], line["line_number"])
        for row in rows_of(judged)
        for line in row["lines"]
    ]
    assert all(len(row["lines"]) <= LINES_OF_EXPLANATION for row in rows_of(judged))
    chosen = np.random.default_rng(0).choice(len(addresses), LINES_FOLLOWED, replace=False)
    followed = [addresses[place] for place in chosen]
    objects: dict[str, list[bytes]] = {}
    for session, key, number in followed:
        if key not in objects:
            data = judged.store.get_bytes(judged.settings.bucket_logs, key)
            objects[key] = (gzip.decompress(data) if key.endswith(".gz") else data).split(b"\n")
        assert f"req={session}".encode() in objects[key][number - 1]


def test_hostile_text_is_plain_data_in_rows_and_on_the_terminal(
    space: Workspace, ingest: Callable[[Workspace, str], int]
) -> None:
    usual = [
        f"2026-03-02 {n // 60:02}:{n % 60:02}:00,000 INFO a.B: req={n:08x} all is well"
        for n in range(300)
    ]
    odd = [
        f"2026-03-02 07:{n:02}:00,000 ERROR a.B: req=ffff000{n} {text}"
        for n, text in enumerate([*HOSTILE, "x" * 10_000_000])
    ]
    data = "\n".join([*usual, *odd, ""]).encode()
    space.store.put_bytes(space.settings.bucket_logs, "hostile/all.log", data)
    ingest(space, "hostile")
    score_night(space, "hostile", FIRST.isoformat(), SECOND.isoformat())
    reasons = {row["session_key"]: row["reason"] for row in rows_of(space, "hostile")}
    shown = [f"ffff000{n}" for n in range(len(HOSTILE))]
    assert set(shown) <= reasons.keys()
    assert "<script>" in reasons["ffff0000"]
    assert "DROP TABLE" in reasons["ffff0001"]

    told = CliRunner().invoke(app, ["anomalies", "--source", "hostile"])
    assert told.exit_code == 0, told.output
    steering = [c for c in told.output if not (c.isprintable() or c in "\n ")]
    assert steering == []
    as_json = CliRunner().invoke(app, ["anomalies", "--source", "hostile", "--json"]).stdout
    assert {row["session"]: row["reason"] for row in json.loads(as_json)} == reasons


def test_a_new_anomaly_finds_its_like_and_what_people_said_of_it(
    space: Workspace, ingest: Callable[[Workspace, str], int]
) -> None:
    def day(start: datetime, odd: dict[int, str]) -> bytes:
        steps = [f"{start + n * timedelta(minutes=1):%Y-%m-%d %H:%M:%S},000" for n in range(600)]
        lines = [
            f"{step} INFO a.B: req={int(start.timestamp()) // 60 + n:08x} "
            + odd.get(n, "all is well")
            for n, step in enumerate(steps)
        ]
        return "\n".join([*lines, ""]).encode()

    def session(start: datetime, n: int) -> str:
        return f"{int(start.timestamp()) // 60 + n:08x}"

    before = {100: "disk is full", 200: "someone knocks"}
    for start, odd in ((FIRST, before), (SECOND, {300: "disk is full"})):
        key = f"hostile/{start:%d}.log"
        space.store.put_bytes(space.settings.bucket_logs, key, day(start, odd))
    ingest(space, "hostile")
    for start in (FIRST, SECOND):
        score_night(space, "hostile", start.isoformat(), (start + DAY).isoformat())
    run = CliRunner().invoke
    label = ["labels", "add", "--source", "hostile", "--session", session(FIRST, 100)]
    assert run(app, [*label, "--verdict", "anomalous", "--reason", "it was"]).exit_code == 0
    asked = ["similar", session(SECOND, 300), "--source", "hostile"]
    (like, *_) = json.loads(run(app, [*asked, "--json"]).stdout)
    assert (like["session_key"], like["is_anomalous"]) == (session(FIRST, 100), True)
    assert like["similarity"] == 1.0
    assert "real" in run(app, asked).stdout
    unknown = run(app, ["similar", "ffffffff", "--source", "hostile"])
    assert unknown.exit_code == 2
    assert "no anomaly of the window or session" in unknown.output
