"""What lasts is proposed, and what people answer holds from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from include.database import Engine, anomalies, labels, proposals
from include.database.anomalies import Anomaly, Scoring
from include.incidents import group_from
from include.settings import get_settings
from include.workspace import Workspace, open_workspace
from services.cli import app

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
NEW = Anomaly(
    window_id="",
    session_key=None,
    window_start=MONDAY,
    window_end=MONDAY,
    score=4.0,
    threshold=3.0,
    severity="high",
    reason="never seen before",
    explanation=[],
    lines=[],
    events=7,
    detector="novelty",
    signature="new:ab12",
    sequence=["ab12"],
)
RATE = replace(NEW, signature="rate:many", detector="rate", sequence=[])


@pytest.fixture
def space(database: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace, for the commands too, whose database is empty."""
    monkeypatch.setenv("LOGANALYZER_DATABASE_URL", database)
    get_settings.cache_clear()
    open_workspace.cache_clear()
    yield Workspace(get_settings(), open_workspace().store, engine, {})
    get_settings.cache_clear()
    open_workspace.cache_clear()


def score(space: Workspace, nights: range, kind: Anomaly = NEW) -> None:
    """Write that a kind was found once in each of these nights, and group them."""
    for number in nights:
        start = MONDAY + number * DAY
        scoring = Scoring(
            "disk", start, start + DAY, "disk", "1", 0, "novelty", 100, 900, 1, 3.0, start + DAY
        )
        found = replace(
            kind,
            window_id=f"w{number}",
            session_key=None if kind is RATE else f"s{number}",
            window_start=start,
            window_end=start + timedelta(minutes=5),
        )
        with space.engine.begin() as conn:
            anomalies.replace_interval(conn, scoring, [found])
        group_from(space, start)


def proposed(space: Workspace) -> list[str]:
    with space.engine.connect() as conn:
        return [row["incident_id"] for row in proposals.proposals(conn, "disk")]


def shown(space: Workspace) -> list[int]:
    """The days of March with an anomaly that is not muted."""
    query = "SELECT interval_start FROM loganalyzer.current_anomalies WHERE muted_by IS NULL"
    with space.engine.connect() as conn:
        return sorted(night.day for night in conn.scalars(sa.text(query)))


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["proposals", *words])


def test_what_is_only_new_is_proposed_once_it_has_lasted_three_nights(space: Workspace) -> None:
    score(space, range(2))
    assert proposed(space) == []
    score(space, range(2, 3))
    assert len(proposed(space)) == 1


@pytest.mark.parametrize("signature", ["missing:ab12", "missing:cd34|new:ab12", "rate:silence"])
def test_what_is_missing_does_not_become_normal(space: Workspace, signature: str) -> None:
    score(space, range(4), replace(NEW, signature=signature))
    assert proposed(space) == []


def test_what_is_accepted_does_not_come_back_and_what_was_shown_stays(space: Workspace) -> None:
    score(space, range(3))
    (incident,) = proposed(space)
    told = run("accept", incident, "--reason", "release 4.2", "--author", "ann")
    assert told.exit_code == 0, told.output
    assert proposed(space) == []
    score(space, range(3, 6))
    assert shown(space) == [2, 3]
    with space.engine.connect() as conn:
        (label,) = labels.labels_of(conn, "disk").rows(named=True)
        state = sa.text("SELECT state, resolved_by FROM loganalyzer.incidents")
        assert conn.execute(state).one() == ("resolved", "ann")
    assert (label["session_key"], label["is_anomalous"]) == ("s2", False)


def test_a_level_is_accepted_until_it_has_settled(space: Workspace) -> None:
    score(space, range(3), RATE)
    (incident,) = proposed(space)
    assert run("accept", incident, "--reason", "a new client").exit_code == 0
    score(space, range(3, 20), RATE)
    # From 4 March on for a fortnight; what comes later is another shift.
    assert shown(space) == [2, 3, *range(18, 22)]


def test_what_is_refused_is_confirmed_and_not_proposed_again(space: Workspace) -> None:
    score(space, range(3))
    listed = json.loads(run("--source", "disk", "--json").stdout)
    (incident,) = [row["incident_id"] for row in listed]
    assert run("refuse", incident, "--reason", "the disk is full").exit_code == 0
    assert proposed(space) == []
    score(space, range(3, 4))
    assert shown(space) == [2, 3, 4, 5]
    with space.engine.connect() as conn:
        assert set(labels.labels_of(conn, "disk")["is_anomalous"]) == {True}


def test_an_unknown_proposal_is_named(space: Workspace) -> None:
    for answer in ("accept", "refuse"):
        told = run(answer, "0a0b", "--reason", "why not")
        assert told.exit_code == 2
        assert "no proposal '0a0b'" in told.output
