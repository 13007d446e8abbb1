"""The sample logs: the same bytes for the same seed, readable by their source, and true to their
labels."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.database.labels import read_label_csv
from include.ingest.parse import ParsedChunk, parse_chunks
from include.settings import PROJECT_ROOT
from include.sources import LogSource, load_source
from services.simulator import Simulation, simulate
from services.simulator.simulation import InjectedIncident

FIRST_DAY = date(2026, 3, 2)
DAYS = 3
LAST_MIDNIGHT = datetime(2026, 3, 4, tzinfo=UTC)
END = LAST_MIDNIGHT + timedelta(days=1)


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("samples"), FIRST_DAY, DAYS)


@pytest.fixture(scope="module")
def source() -> LogSource:
    return load_source(PROJECT_ROOT / "include" / "sources" / "storage.yaml")


@pytest.fixture(scope="module")
def read(simulation: Simulation, source: LogSource) -> list[ParsedChunk]:
    """What ingest makes of the files, in their order."""
    chunks = []
    for path in simulation.files:
        key = str(path.relative_to(simulation.folder))
        with path.open("rb") as stream:
            chunks += parse_chunks(stream, source, key, END, chunk_lines=100_000)
    return chunks


@pytest.fixture(scope="module")
def events(read: list[ParsedChunk]) -> pl.DataFrame:
    return pl.concat(chunk.events for chunk in read)


def incident(simulation: Simulation, kind: str) -> InjectedIncident:
    return next(each for each in simulation.incidents if each.kind == kind)


def messages_of(events: pl.DataFrame, session: str) -> list[str]:
    return events.filter(pl.col("session_key") == session)["message"].to_list()


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        simulate(tmp_path / name, FIRST_DAY, days=1, seed=seed, requests_per_hour=10)
    assert content(tmp_path / "one") == content(tmp_path / "again")
    assert content(tmp_path / "one") != content(tmp_path / "other")


def test_each_file_holds_its_hour_in_order(events: pl.DataFrame) -> None:
    hour = pl.col("event_time").dt.strftime("storage/%Y-%m-%d/%H.log.gz")
    assert events.select((hour == pl.col("object_key")).all()).item()
    assert events["event_time"].is_sorted()


def test_all_lines_but_the_garbage_are_read(
    simulation: Simulation, read: list[ParsedChunk]
) -> None:
    assert sum(chunk.lines_read for chunk in read) == simulation.lines
    refused = pl.concat(chunk.quarantined for chunk in read)["line"].to_list()
    assert 0 < len(refused) < simulation.lines / 1000
    assert all(len(line) == 40 and " " not in line for line in refused)


def test_every_event_names_its_session_and_no_session_is_cut_by_the_windowing(
    events: pl.DataFrame, source: LogSource
) -> None:
    assert events["session_key"].null_count() == 0
    gaps = pl.col("event_time").diff().max()
    spans = (
        events.sort("event_time")
        .group_by("session_key")
        .agg(gap=gaps, span=pl.col("event_time").max() - pl.col("event_time").min())
    )
    assert source.windowing.kind == "session"
    assert spans["gap"].max() < source.windowing.idle_timeout
    assert spans["span"].max() < source.windowing.longest_span
    assert spans["span"].max() > timedelta(minutes=15)


def test_sessions_cross_hours_and_midnight(events: pl.DataFrame) -> None:
    for unit in ("1h", "1d"):
        places = events.group_by("session_key").agg(
            pl.col("event_time").dt.truncate(unit).n_unique()
        )
        assert (places["event_time"] > 1).any(), unit


def test_days_are_busy_and_nights_are_quiet(events: pl.DataFrame) -> None:
    requests = events.filter(pl.col("component") == "front.Api").group_by(
        pl.col("event_time").dt.hour().alias("hour")
    )
    volume = dict(requests.agg(pl.col("session_key").n_unique()).iter_rows())
    assert volume[14] > 3 * volume[2]


def test_usual_days_hold_warnings_retries_and_stack_traces(events: pl.DataFrame) -> None:
    usual = events.filter(pl.col("event_time") < LAST_MIDNIGHT)
    assert {"INFO", "WARN", "ERROR"} == set(usual["severity"])
    assert usual["message"].str.contains("retrying part").any()
    traces = usual.filter(pl.col("message").str.contains("\n    at "))
    assert set(traces["severity"]) == {"ERROR"}
    assert len(traces) < len(usual) / 100


def test_the_truth_is_written_as_it_happened(simulation: Simulation) -> None:
    written = json.loads((simulation.folder / "incidents.json").read_text())
    assert [each["name"] for each in written] == [each.name for each in simulation.incidents]
    assert {each["kind"] for each in written} == {
        "new error", "missing steps", "wrong order", "burst", "silence",
    }  # fmt: skip
    labels = pl.read_csv(simulation.folder / "labels.csv")
    by_incident = {
        name: labels.filter(pl.col("incident") == name)["session_key"].to_list()
        for name in labels["incident"].unique()
    }
    assert by_incident == {each["name"]: each["sessions"] for each in written if each["sessions"]}
    assert set(labels["label"]) == {"anomalous"}


def test_the_labels_can_be_imported(simulation: Simulation) -> None:
    rows = read_label_csv(simulation.folder / "labels.csv")
    assert len(rows) == sum(len(each.sessions) for each in simulation.incidents)
    assert all(row.is_anomalous for row in rows)


def test_incidents_touch_sessions_of_the_last_day_only(
    simulation: Simulation, events: pl.DataFrame
) -> None:
    for each in simulation.incidents:
        assert LAST_MIDNIGHT <= each.starts_at < each.ends_at <= END
        touched = events.filter(pl.col("session_key").is_in(each.sessions))
        assert touched["session_key"].n_unique() == len(each.sessions)
        assert all(each.starts_at <= moment < END for moment in touched["event_time"])


def test_a_new_error_says_what_was_never_said_before(
    simulation: Simulation, events: pl.DataFrame
) -> None:
    disk = events.filter(pl.col("message").str.contains("uncorrectable sector"))
    assert set(disk["session_key"]) == set(incident(simulation, "new error").sessions)


def test_missing_steps_are_missing(simulation: Simulation, events: pl.DataFrame) -> None:
    for session in incident(simulation, "missing steps").sessions:
        messages = messages_of(events, session)
        assert any("committed" in message for message in messages)
        assert not any("acked" in message for message in messages)


def test_wrong_order_commits_before_it_sends(simulation: Simulation, events: pl.DataFrame) -> None:
    for session in incident(simulation, "wrong order").sessions:
        messages = messages_of(events, session)
        first = {
            word: next(n for n, message in enumerate(messages) if word in message)
            for word in ("committed", "sending")
        }
        assert first["committed"] < first["sending"]


def test_a_burst_is_one_of_retries_and_of_sessions(
    simulation: Simulation, events: pl.DataFrame
) -> None:
    burst = incident(simulation, "burst")
    for session in burst.sessions:
        assert sum("retrying" in message for message in messages_of(events, session)) >= 20

    def sessions_begun(since: timedelta) -> int:
        begun = events.group_by("session_key").agg(pl.col("event_time").min())
        start, end = burst.starts_at - since, burst.ends_at - since
        return len(begun.filter(pl.col("event_time").is_between(start, end, closed="left")))

    assert sessions_begun(timedelta(0)) > 2 * sessions_begun(timedelta(days=1))


def test_silence_falls_where_there_always_were_lines(
    simulation: Simulation, events: pl.DataFrame
) -> None:
    silence = incident(simulation, "silence")

    def lines(days_before: int) -> int:
        since = timedelta(days=days_before)
        start, end = silence.starts_at - since, silence.ends_at - since
        return len(events.filter(pl.col("event_time").is_between(start, end, closed="left")))

    assert lines(0) == 0
    assert all(lines(days) > 500 for days in range(1, DAYS))
    assert not silence.sessions
