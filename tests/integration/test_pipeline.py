"""Ingest, training and scoring on real servers, step by step, without Airflow's processes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.ingest import pipeline
from include.lake.events import messages_at, read_events, read_windows
from include.scoring import score_night
from include.training.jobs import Judged
from include.workspace import Workspace, open_workspace
from services.simulator import Simulation, simulate

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
SOURCE = """
name: {name}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""
GOOD = "2026-03-02 10:00:0{n},000 INFO a.B: req=0000000{n} all is well\n"


@pytest.fixture
def named(workspace: Workspace, request: pytest.FixtureRequest) -> str:
    """A source of this test's own."""
    name = "t_" + request.node.name.removeprefix("test_").split("[")[0][:40]
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(SOURCE.format(name=name))
    return name


@pytest.fixture
def space(named: str) -> Workspace:
    open_workspace.cache_clear()
    return open_workspace()


@pytest.fixture
def put(space: Workspace, named: str) -> Callable[[str, bytes], None]:
    def put_object(key: str, data: bytes) -> None:
        space.store.put_bytes(space.settings.bucket_logs, f"{named}/{key}", data)

    return put_object


def ingest(space: Workspace, name: str) -> int:
    """One run of the DAG's steps; the number of events published."""
    staged = [
        pipeline.stage_batch(space, **batch) for batch in pipeline.discover_batches(space, name)
    ]
    set_aside = pipeline.validate_batches(space, staged)
    learnt = pipeline.learn_templates(space, staged)
    written = [pipeline.write_batch(space, **batch) for batch in learnt]
    events = pipeline.publish_batches(space, written, set_aside)
    pipeline.clear_staging(space)
    return events


def ledger_rows(space: Workspace, name: str) -> dict[str, sa.RowMapping]:
    query = sa.text("SELECT * FROM loganalyzer.events_ledger WHERE source = :name")
    with space.engine.connect() as conn:
        rows = conn.execute(query, {"name": name}).mappings().all()
    return {row["object_key"].removeprefix(f"{name}/") + ":" + row["state"]: row for row in rows}


def events_of(space: Workspace, name: str) -> list[tuple[str, int]]:
    frame = read_events(
        space, name, FIRST - DAY, FIRST + 9 * DAY, ["event_time", "object_key", "line_number"]
    )
    return sorted(frame.select("object_key", "line_number").rows())


def test_every_line_is_an_event_continues_one_or_is_quarantined(
    space: Workspace, named: str, put: Callable[[str, bytes], None]
) -> None:
    text = "no header\n" + GOOD.format(n=1) + "  at Some.trace(1)\n\n" + GOOD.format(n=2)
    put("a.log", text.encode())
    assert ingest(space, named) == 2
    row = ledger_rows(space, named)["a.log:ingested"]
    assert (row["lines_read"], row["events"], row["lines_continued"]) == (5, 2, 2)
    assert row["quarantine_reasons"] == {f"does not match the line format of source {named}": 1}


def test_windows_carry_the_numbers_of_their_events(
    space: Workspace, named: str, put: Callable[[str, bytes], None]
) -> None:
    line = "2026-03-02 10:00:0{n},000 INFO a.B: req=0000000{n} took {n}5 ms for {n}kB\n"
    put("a.log", "".join(line.format(n=n) for n in range(1, 4)).encode())
    ingest(space, named)
    windows = read_windows(space, space.source(named), FIRST, FIRST + DAY)
    assert [each.to_list()[-2:] for each in windows.events["numbers"]] == [
        [15.0, 1024.0],
        [25.0, 2048.0],
        [35.0, 3072.0],
    ]


def test_a_second_run_finds_nothing_new(
    space: Workspace, named: str, put: Callable[[str, bytes], None]
) -> None:
    put("a.log", GOOD.format(n=1).encode())
    assert ingest(space, named) == 1
    assert pipeline.discover_batches(space, named) == []


def test_a_grown_object_takes_the_place_of_its_earlier_version(
    space: Workspace, named: str, put: Callable[[str, bytes], None]
) -> None:
    put("a.log", GOOD.format(n=1).encode())
    ingest(space, named)
    put("a.log", (GOOD.format(n=1) + GOOD.format(n=2)).encode())
    assert ingest(space, named) == 2
    assert set(ledger_rows(space, named)) == {"a.log:superseded", "a.log:ingested"}
    assert events_of(space, named) == [(f"{named}/a.log", 1), (f"{named}/a.log", 2)]


def test_objects_of_one_hour_share_a_part_and_only_what_is_published_of_it_is_seen(
    space: Workspace, named: str, put: Callable[[str, bytes], None]
) -> None:
    put("a.log", GOOD.format(n=1).encode())
    put("b.log", GOOD.format(n=2).encode())
    put("bad.log", (GOOD.format(n=3) + 9 * "this is no log\n").encode())
    ingest(space, named)
    parts = list(space.store.list(space.settings.bucket_lake, f"events/source={named}/"))
    assert len(parts) == 1
    assert events_of(space, named) == [(f"{named}/a.log", 1), (f"{named}/b.log", 1)]
    put("a.log", (GOOD.format(n=1) + GOOD.format(n=4)).encode())
    ingest(space, named)
    assert events_of(space, named) == [
        (f"{named}/a.log", 1),
        (f"{named}/a.log", 2),
        (f"{named}/b.log", 1),
    ]
    assert messages_at(space, named, [(f"{named}/bad.log", 1)]) == {}


@pytest.mark.parametrize("step", ["stage", "write"])
def test_an_object_that_is_replaced_meanwhile_waits_for_the_next_run(
    space: Workspace, named: str, put: Callable[[str, bytes], None], step: str
) -> None:
    replaced, other = f"{step}/a.log", f"{step}/b.log"
    put(replaced, GOOD.format(n=1).encode())
    put(other, GOOD.format(n=2).encode())
    grown = (GOOD.format(n=1) + GOOD.format(n=3)).encode()
    found = pipeline.discover_batches(space, named)
    if step == "stage":
        put(replaced, grown)
    staged = [pipeline.stage_batch(space, **batch) for batch in found]
    put(replaced, grown)
    set_aside = pipeline.validate_batches(space, staged)
    learnt = pipeline.learn_templates(space, staged)
    written = [pipeline.write_batch(space, **batch) for batch in learnt]
    assert pipeline.publish_batches(space, written, set_aside) == 1
    assert {f"{replaced}:set_aside", f"{other}:ingested"} <= ledger_rows(space, named).keys()
    assert ingest(space, named) == 2
    assert f"{replaced}:ingested" in ledger_rows(space, named)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(
            gzip.compress(GOOD.encode() * 1000, mtime=0)[:-20], "damaged gzip", id="a cut gzip"
        ),
        pytest.param(b"this is no log\n" * 10, "of the lines parse", id="no log at all"),
    ],
)
def test_a_bad_object_is_set_aside_and_the_others_go_on(
    space: Workspace,
    named: str,
    put: Callable[[str, bytes], None],
    data: bytes,
    reason: str,
) -> None:
    put("bad.log", data)
    put("good.log", GOOD.format(n=1).encode())
    ingest(space, named)
    rows = ledger_rows(space, named)
    assert rows["good.log:ingested"]["events"] == 1
    assert reason in rows["bad.log:set_aside"]["reason"]


def test_what_a_killed_publish_left_is_not_seen_and_is_replaced(
    space: Workspace, named: str, put: Callable[[str, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.log", GOOD.format(n=1).encode())
    (batch,) = pipeline.discover_batches(space, named)
    staged = [pipeline.stage_batch(space, **batch)]
    set_aside = pipeline.validate_batches(space, staged)
    (learnt,) = pipeline.learn_templates(space, staged)
    written = [pipeline.write_batch(space, **learnt)]
    with monkeypatch.context() as patch:

        def killed(*args: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(pipeline.ledger, "commit_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.publish_batches(space, written, set_aside)
    parts = list(space.store.list(space.settings.bucket_lake, f"events/source={named}/"))
    assert len(parts) == 1
    assert events_of(space, named) == []
    written = [pipeline.write_batch(space, **learnt)]
    pipeline.publish_batches(space, written, set_aside)
    again = list(space.store.list(space.settings.bucket_lake, f"events/source={named}/"))
    assert [(part.key, part.etag) for part in again] == [(part.key, part.etag) for part in parts]
    assert events_of(space, named) == [(f"{named}/a.log", 1)]


def test_an_object_is_compared_with_the_usual_one_and_not_with_all_of_its_hour(
    space: Workspace, named: str, put: Callable[[str, bytes], None]
) -> None:
    for day in range(2, 6):
        for host in range(12):
            line = f"2026-03-0{day} 10:00:01,000 INFO a.B: req=000000{host:02} all is well\n"
            put(f"{day}/{host}.log", 10 * line.encode())
        ingest(space, named)
    query = sa.text(
        "SELECT DISTINCT reason FROM loganalyzer.validations WHERE source = :name AND NOT passed"
    )
    with space.engine.connect() as conn:
        assert conn.execute(query, {"name": named}).scalars().all() == []


class TestSampleLogs:
    """Two days of the sample service, through to its anomalies."""

    @pytest.fixture
    def simulation(
        self, space: Workspace, named: str, put: Callable[[str, bytes], None], tmp_path: Path
    ) -> Simulation:
        written = simulate(tmp_path / "samples", FIRST.date(), days=2)
        for path in written.files:
            put(str(path.relative_to(written.folder)), path.read_bytes())
        ingest(space, named)
        return written

    def test_the_incidents_are_found_and_a_second_scoring_changes_no_row(
        self, space: Workspace, named: str, simulation: Simulation, train: Callable[..., Judged]
    ) -> None:
        start, end = FIRST.isoformat(), (FIRST + DAY).isoformat()
        known = {"families": ["ensemble"], "known_until": (FIRST + 2 * DAY).isoformat()}
        judged = train(space, named, start, end, **known)
        again = train(space, named, start, end, **known, dag_run_id="again")
        assert again["version"] == judged["version"]
        night = (named, end, (FIRST + 2 * DAY).isoformat())
        score_night(space, *night)
        rows = self.rows(space, named)
        score_night(space, *night)
        assert self.rows(space, named) == rows
        flagged = {row["session_key"] for row in rows}
        for incident in simulation.incidents:
            if incident.sessions:
                found = flagged & set(incident.sessions)
                assert len(found) >= 0.9 * len(incident.sessions), incident.kind

    def test_without_a_model_the_night_is_judged_all_the_same(
        self, space: Workspace, named: str, simulation: Simulation
    ) -> None:
        result = score_night(space, named, (FIRST + DAY).isoformat(), (FIRST + 2 * DAY).isoformat())
        assert result["model_version"] == "0"
        disk = next(each for each in simulation.incidents if each.kind == "new error")
        flagged = {row["session_key"] for row in self.rows(space, named)}
        assert set(disk.sessions) <= flagged

    def test_nights_laid_end_to_end_judge_each_session_once(
        self, space: Workspace, named: str, simulation: Simulation
    ) -> None:
        source = space.source(named)
        whole = read_windows(space, source, FIRST, FIRST + 3 * DAY)
        nightly = [
            read_windows(space, source, FIRST + n * DAY, FIRST + (n + 1) * DAY) for n in range(3)
        ]
        ids = [window_id for part in nightly for window_id in part.spans["window_id"]]
        assert sorted(ids) == sorted(whole.spans["window_id"])
        assert sum(len(part.events) for part in nightly) == len(events_of(space, named))

    @staticmethod
    def rows(space: Workspace, name: str) -> list[sa.RowMapping]:
        query = sa.text(
            "SELECT ctid::text AS place, * FROM loganalyzer.anomalies WHERE source = :name "
            "ORDER BY score DESC, window_id"
        )
        with space.engine.connect() as conn:
            return list(conn.execute(query, {"name": name}).mappings())
