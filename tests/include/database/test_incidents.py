"""Incidents on Postgres: the same whatever the pieces, and what people said of them stays."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.database import Engine, feedback, incidents
from include.database.anomalies import Anomaly
from include.database.feedback import Subject
from include.database.incidents import InvalidResolution
from include.incidents import group_from, group_nights
from include.settings import get_settings
from include.workspace import Workspace, open_workspace
from tests import nights
from tests.nights import DAY, HOUR, MONDAY


@pytest.fixture
def space(engine: Engine) -> Workspace:
    """A workspace whose database is empty, and whose lake holds nothing of it."""
    return Workspace(get_settings(), open_workspace().store, engine, {})


def night(number: int) -> datetime:
    return MONDAY + number * DAY


def score(
    space: Workspace,
    number: int,
    found: list[Anomaly],
    source: str = "disk",
    version: str = "1",
    later: timedelta = DAY,
) -> None:
    nights.score(space, source, night(number), found, version, later)


def at(number: int, hour: float = 1.0, kind: str = "missing:ab", key: str | None = None) -> Anomaly:
    start = night(number) + hour * HOUR
    found = nights.anomaly(start, f"{key}@{start:%d%H%M}", kind=kind)
    return replace(found, session_key=key)


def rows(space: Workspace, **told: str) -> list[dict[str, object]]:
    """Of all states, in order of time."""
    with space.engine.connect() as conn:
        found = [
            row for state in incidents.STATES for row in incidents.query(conn, state=state, **told)
        ]
    return sorted(found, key=lambda row: (row["started_at"], row["incident_id"]))


def tables(space: Workspace) -> dict[str, set[tuple[str, ...]]]:
    """The rows, each with its place: an update moves a row."""
    with space.engine.connect() as conn:
        return {
            name: {
                tuple(map(str, row))
                for row in conn.execute(sa.text(f"SELECT ctid::text, * FROM loganalyzer.{name}"))
            }
            for name in ("incidents", "incident_anomalies")
        }


def contents(space: Workspace) -> list[set[tuple[str, ...]]]:
    """The rows without their place and without the time of their last change."""
    found = tables(space)
    return [
        {row[1:-1] for row in found["incidents"]},
        {row[1:] for row in found["incident_anomalies"]},
    ]


def test_alike_anomalies_are_one_incident(space: Workspace) -> None:
    score(space, 0, [at(0, 2, key="b"), at(0, 1, key="a"), replace(at(0, 3), score=9.0)])
    counts = group_nights(space, [{"start": night(n).isoformat()} for n in (1, 0)])
    assert counts == {"incidents": 1, "anomalies": 3}
    (row,) = rows(space)
    assert row | {"incident_id": "", "updated_at": None} == {
        "incident_id": "",
        "title": "disk: 3 sessions end without `ab`, first seen 01:00",
        "reason": "odd at 03:00",
        "signature": "missing:ab",
        "sources": ["disk"],
        "started_at": night(0) + HOUR,
        "ended_at": night(0) + 3 * HOUR + timedelta(minutes=5),
        "first_night": night(0),
        "last_night": night(0),
        "anomalies": 3,
        "sessions": 2,
        "severity": "medium",
        "score": 9.0,
        "component": None,
        "level": None,
        "state": "open",
        "resolved_by": None,
        "resolved_at": None,
        "resolved_reason": None,
        "resolved_night": None,
        "alerted_at": None,
        "updated_at": None,
    }


def test_grouping_again_changes_no_row(space: Workspace) -> None:
    for number in (0, 1):
        score(space, number, [at(number, hour, "new:ab") for hour in range(5)])
    group_from(space, night(0))
    before = tables(space)
    for since in (0, 1, 2):
        group_from(space, night(since))
        assert tables(space) == before


def many() -> dict[tuple[int, str], list[Anomaly]]:
    """Three weeks of two sources: by night and source, what is found."""
    drawn = random.Random(1)  # noqa: S311  a sample, not a secret
    kinds = ["new:ab", "missing:ab", "missing:ab|new:cd", "new:cd|new:ef", "rate:few", "rare"]
    return {
        (number, source): [
            at(number, hour + drawn.random(), drawn.choice(kinds), drawn.choice([None, "a", "b"]))
            for hour in range(drawn.choice([0, 5, 20]))
        ]
        for number in (0, 1, 2, 3, 11, 12, 20)
        for source in ("disk", "net")
    }


def scored(space: Workspace, turns: list[list[tuple[int, str]]]) -> list[set[tuple[str, ...]]]:
    """What there is after scoring some nights, grouping, scoring others, and so on."""
    with space.engine.begin() as conn:
        conn.execute(sa.text("TRUNCATE loganalyzer.scorings, loganalyzer.incidents CASCADE"))
    for turn in turns:
        for number, source in turn:
            score(space, number, many()[number, source], source)
        group_from(space, night(min(number for number, _ in turn)))
    return contents(space)


def test_night_by_night_source_by_source_and_all_at_once_are_the_same(space: Workspace) -> None:
    every = list(many())
    at_once = scored(space, [every])
    assert len(at_once[0]) > 5
    assert (
        scored(space, [[one for one in every if one[0] == n] for n in (0, 1, 2, 3, 11, 12, 20)])
        == at_once
    )
    assert scored(space, [[one] for one in every]) == at_once
    assert scored(space, [[one] for one in reversed(every)]) == at_once


def test_scoring_an_earlier_night_again_changes_the_incidents_of_later_ones(
    space: Workspace,
) -> None:
    for number in (1, 2):
        score(space, number, [at(number)])
    group_from(space, night(1))
    score(space, 0, [at(0)])
    group_from(space, night(0))
    (row,) = rows(space)
    assert (row["first_night"], row["anomalies"], row["state"]) == (night(0), 3, "ongoing")


def test_what_a_newer_scoring_does_not_find_leaves_the_incident(space: Workspace) -> None:
    score(space, 0, [at(0, 1), at(0, 2), at(0, 5, "new:ef")])
    group_from(space, night(0))
    score(space, 0, [at(0, 2)], version="2", later=2 * DAY)
    group_from(space, night(0))
    assert [row["anomalies"] for row in rows(space)] == [1]
    with space.engine.connect() as conn:
        versions = conn.scalars(sa.text("SELECT model_version FROM loganalyzer.incident_anomalies"))
        assert versions.all() == ["2"]


def test_an_incident_that_people_were_told_of_is_not_new_when_it_comes_back(
    space: Workspace,
) -> None:
    score(space, 0, [at(0)])
    group_from(space, night(0))
    with space.engine.begin() as conn:
        conn.execute(sa.text("UPDATE loganalyzer.incidents SET alerted_at = now()"))
    score(space, 0, [])
    group_from(space, night(0))
    (gone,) = rows(space)
    assert (gone["state"], gone["anomalies"]) == ("expired", 0)
    score(space, 0, [at(0)])
    group_from(space, night(0))
    (back,) = rows(space)
    assert (back["state"], back["anomalies"], back["alerted_at"]) == ("open", 1, gone["alerted_at"])


@pytest.mark.parametrize(
    ("nights", "newest", "expected"),
    [
        pytest.param([0], 0, ["open"], id="one night"),
        pytest.param([0, 1], 1, ["ongoing"], id="two nights"),
        pytest.param([0], 7, ["open"], id="quiet for a week"),
        pytest.param([0], 8, ["expired"], id="quiet for longer"),
        pytest.param([0, 8], 8, ["expired", "open"], id="what comes again then is another"),
    ],
)
def test_the_life_of_an_incident(
    space: Workspace, nights: list[int], newest: int, expected: list[str]
) -> None:
    for number in range(newest + 1):
        score(space, number, [at(number)] if number in nights else [])
        group_from(space, night(number))
    assert [row["state"] for row in rows(space)] == expected


def test_the_nights_of_other_sources_let_nothing_expire(space: Workspace) -> None:
    score(space, 0, [at(0)])
    score(space, 20, [], "net")
    group_from(space, night(0))
    group_from(space, night(20))
    assert [row["state"] for row in rows(space)] == ["open"]


def test_what_is_resolved_stays_so_and_what_comes_later_is_another(space: Workspace) -> None:
    score(space, 0, [at(0)])
    group_from(space, night(0))
    (row,) = rows(space)
    with space.engine.begin() as conn:
        incidents.resolve(conn, row["incident_id"], "ann", "disk exchanged")
    score(space, 1, [at(1)])
    group_from(space, night(1))
    group_from(space, night(0))
    first, second = rows(space)
    assert (first["state"], first["resolved_by"], first["anomalies"]) == ("resolved", "ann", 1)
    assert (second["state"], second["anomalies"]) == ("open", 1)


@pytest.mark.parametrize("twice", [False, True])
def test_only_what_is_there_and_not_resolved_can_be(space: Workspace, twice: bool) -> None:
    score(space, 0, [at(0)])
    group_from(space, night(0))
    key = rows(space)[0]["incident_id"] if twice else "nonesuch"
    with space.engine.begin() as conn:
        if twice:
            incidents.resolve(conn, key, "ann", "over")
        with pytest.raises(InvalidResolution, match="ann resolved" if twice else "no incident"):
            incidents.resolve(conn, key, "bob", "over")


def test_the_view_has_those_that_may_go_on_the_worst_first(space: Workspace) -> None:
    worst = replace(at(8, 3, "new:cd"), severity="critical")
    score(space, 0, [at(0, 1, "missing:ef")])
    score(space, 8, [at(8, 1, "missing:ab"), worst])
    group_from(space, night(0))
    with space.engine.connect() as conn:
        found = conn.execute(sa.text("SELECT severity, state FROM loganalyzer.open_incidents"))
        assert [tuple(row) for row in found] == [("high", "open"), ("medium", "open")]
    assert [row["state"] for row in rows(space, source="net")] == []
    assert len(rows(space, source="disk")) == 3


def test_what_is_muted_makes_no_incident(space: Workspace) -> None:
    score(space, 0, [at(0, 1, key="a"), at(0, 2, "new:ef")])
    group_from(space, night(0))
    with space.engine.begin() as conn:
        subject = Subject(source="disk", window_id=at(0, 1, key="a").window_id)
        feedback.give(conn, subject, "false", "a test", "ann")
    group_from(space, night(0))
    assert [row["signature"] for row in rows(space)] == ["new:ef"]


LOG = """\
2026-11-01 10:00:01,000 INFO dfs.DataNode: all is well
2026-11-01 10:00:02,000 ERROR dfs.DataNode: disk is full
2026-11-01 10:00:03,000 WARN dfs.NameNode: one node less
"""


@pytest.fixture
def source(workspace: Workspace) -> str:
    name = "incident_lines"
    Path(workspace.settings.sources_path, f"{name}.yaml").write_text(
        f"name: {name}\nformat: log4j\nwindowing: {{kind: time, size: 5m, step: 5m}}\n"
    )
    open_workspace.cache_clear()
    return name


def test_its_lines_tell_where_it_comes_from_and_are_asked_once(
    source: str, ingest: Callable[[Workspace, str], int]
) -> None:
    space = open_workspace()
    space.store.put_bytes(space.settings.bucket_logs, f"{source}/a.log", LOG.encode())
    ingest(space, source)
    number = (datetime(2026, 11, 1, tzinfo=UTC) - MONDAY).days
    lines = [{"object_key": f"{source}/a.log", "line_number": line} for line in (1, 2, 3)]
    score(space, number, [replace(at(number, 10), lines=lines)], source)
    group_from(space, night(number))
    (row,) = rows(space, source=source)
    assert (row["component"], row["level"]) == ("dfs.DataNode", "ERROR")
    assert str(row["title"]).startswith("dfs.DataNode: 1 window")
    before = tables(space)
    with space.engine.begin() as conn:
        gone = "DELETE FROM loganalyzer.events_ledger WHERE source = :source"
        conn.execute(sa.text(gone), {"source": source})
    group_from(space, night(number))
    assert tables(space) == before
