"""A challenger beside the champion: what it flags is listed where it differs, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from include import tracking
from include.database import anomalies, shadows
from include.lake.events import read_windows
from include.scoring import NoChallenger, score_night, shadow_night
from include.training.jobs import Judged
from include.workspace import Workspace, open_workspace
from services.cli import app
from services.simulator import simulate

SOURCE = "shadowed"
DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
SECOND, THIRD = FIRST + DAY, FIRST + 2 * DAY
NIGHT = (SOURCE, SECOND.isoformat(), THIRD.isoformat())
FILE = f"""
name: {SOURCE}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""
OURS = "FROM loganalyzer.{} WHERE source = :source ORDER BY 1"


@pytest.fixture
def space(workspace: Workspace) -> Workspace:
    Path(workspace.settings.sources_path, f"{SOURCE}.yaml").write_text(FILE)
    open_workspace.cache_clear()
    return open_workspace()


@pytest.fixture
def rivals(
    space: Workspace,
    ingest: Callable[[Workspace, str], int],
    train: Callable[..., Judged],
    crown: Callable[..., str],
    tmp_path: Path,
) -> Workspace:
    """Two days of sample logs; a champion and a challenger that learnt from the first."""
    written = simulate(tmp_path / "samples", FIRST.date(), days=2)
    for path in written.files:
        key = f"{SOURCE}/{path.relative_to(written.folder)}"
        space.store.put_bytes(space.settings.bucket_logs, key, path.read_bytes())
    ingest(space, SOURCE)
    crown(space, SOURCE, FIRST, SECOND)
    train(
        space,
        SOURCE,
        FIRST.isoformat(),
        SECOND.isoformat(),
        families=["one_class_svm"],
        policy="never",
        known_until=THIRD.isoformat(),
    )
    return space


def rows_of(space: Workspace, table: str) -> list[tuple[object, ...]]:
    """The rows of the source, each with its place: an update moves a row."""
    query = sa.text("SELECT ctid::text, * " + OURS.format(table))
    with space.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(query, {"source": SOURCE})]


def shown(space: Workspace) -> list[dict[str, object]]:
    with space.engine.connect() as conn:
        return anomalies.query(conn, SOURCE)


def listed(*words: str) -> list[dict[str, object]]:
    told = run("disagreements", "--source", SOURCE, "--json", *words)
    found: list[dict[str, object]] = json.loads(told)
    return found


def run(*words: str) -> str:
    told = CliRunner().invoke(app, [*words])
    assert told.exit_code == 0, told.output
    return told.stdout


def differences(space: Workspace) -> dict[str, float]:
    """How far the two are apart, by the session of each window that exactly one of them flags."""
    client = tracking.connect(space.settings)
    windows = read_windows(space, space.source(SOURCE), SECOND, THIRD)
    margins = []
    for alias in (tracking.CHAMPION, tracking.CHALLENGER):
        registered = tracking.registered(client, SOURCE, alias)
        assert registered is not None
        margins.append(registered.model.score(windows) - registered.model.threshold)
    ours, theirs = margins
    differ = (ours > 0) != (theirs > 0)
    sessions = windows.spans["session_key"].filter(differ)
    return dict(zip(sessions, np.abs(ours - theirs)[differ], strict=True))


def test_the_windows_where_they_differ_are_listed_the_most_telling_first(
    rivals: Workspace,
) -> None:
    score_night(rivals, *NIGHT)
    told = rows_of(rivals, "anomalies"), rows_of(rivals, "scorings")
    shadow_night(rivals, *NIGHT)
    # Nothing of the challenger is where people are told what was strange.
    assert (rows_of(rivals, "anomalies"), rows_of(rivals, "scorings")) == told
    with rivals.engine.connect() as conn:
        night = {row["detector"] for row in anomalies.query(conn, SOURCE)}
    assert night <= {"novelty", "rate"}

    expected = differences(rivals)
    rows = listed("--limit", "100000")
    assert {row["session"]: row["apart"] for row in rows} == pytest.approx(expected)
    assert len(rows) == len(expected) > 0
    assert rows[0]["apart"] == pytest.approx(max(expected.values()))
    telling = [row["telling"] for row in rows]
    assert telling == sorted(telling, reverse=True)
    assert all(row["reason"] and row["lines"] for row in rows)

    places = rows_of(rivals, "shadow_scores"), rows_of(rivals, "shadow_scorings")
    assert len(places[0]) > len(rows), "both flag some"
    shadow_night(rivals, *NIGHT)
    assert (rows_of(rivals, "shadow_scores"), rows_of(rivals, "shadow_scorings")) == places

    judged = str(rows[0]["session"])
    answer = ["--session", judged, "--verdict", "normal", "--reason", "a test of ours"]
    run("labels", "add", "--source", SOURCE, *answer)
    left = listed("--limit", "100000")
    assert [row["session"] for row in left] == [row["session"] for row in rows[1:]]


def test_a_challenger_that_fails_costs_no_anomaly(
    rivals: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_night(rivals, *NIGHT)
    told = rows_of(rivals, "anomalies")

    def broken(*args: object) -> None:
        raise RuntimeError("the challenger is broken")

    monkeypatch.setattr(shadows, "replace_interval", broken)
    with pytest.raises(RuntimeError, match="broken"):
        shadow_night(rivals, *NIGHT)
    assert rows_of(rivals, "anomalies") == told


def test_without_two_versions_there_is_nothing_to_compare(rivals: Workspace) -> None:
    client, name = tracking.connect(rivals.settings), tracking.model_name(SOURCE)
    same = client.get_model_version_by_alias(name, tracking.CHAMPION).version
    client.set_registered_model_alias(name, tracking.CHALLENGER, same)
    with pytest.raises(NoChallenger, match="is its champion"):
        shadow_night(rivals, *NIGHT)
    client.delete_registered_model_alias(name, tracking.CHAMPION)
    with pytest.raises(NoChallenger, match="no champion yet"):
        shadow_night(rivals, *NIGHT)
    client.delete_registered_model_alias(name, tracking.CHALLENGER)
    with pytest.raises(NoChallenger, match=f"{SOURCE} has no challenger"):
        shadow_night(rivals, *NIGHT)


def test_any_version_judges_a_night_beside_what_was_said_then(rivals: Workspace) -> None:
    score_night(rivals, *NIGHT)
    told = shown(rivals)
    client = tracking.connect(rivals.settings)
    challenger = tracking.aliases(client, SOURCE).challenger
    score_night(rivals, *NIGHT, model_version=challenger)
    assert shown(rivals) == told
    side_by_side = sa.text(
        "SELECT count(*) FILTER (WHERE model_version = :challenger) AS theirs, count(*) AS both "
        "FROM loganalyzer.anomalies WHERE source = :source"
    )
    with rivals.engine.connect() as conn:
        found = conn.execute(side_by_side, {"challenger": challenger, "source": SOURCE}).one()
    assert 0 < found.theirs < found.both
    with pytest.raises(tracking.NoSuchVersion, match=r"no model version 99; there are: 1, 2"):
        score_night(rivals, *NIGHT, model_version="99")
