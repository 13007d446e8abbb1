"""What is known of the models, and what the gate said of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.database import promotions
from include.workspace import Workspace, open_workspace
from services.api import paging
from services.simulator import simulate
from tests.services.api.conftest import Login

SOURCE = """
name: modelled
format: log4j
windowing: {kind: session, key: 'req=([0-9a-f]{8})', idle_timeout: 30m, longest_span: 6h}
"""
START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = 4


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    Path(workspace.settings.sources_path, "modelled.yaml").write_text(SOURCE)
    open_workspace.cache_clear()
    return open_workspace()


def test_a_champion_is_shown_with_its_figures_curves_and_verdict(
    space: Workspace,
    login: Login,
    ingest: Callable[[Workspace, str], int],
    crown: Callable[..., str],
    tmp_path: Path,
) -> None:
    viewer = login()
    nothing = {"source": "modelled", "champion": None, "challenger": None, "previous": None}
    assert viewer.get("/v1/models").json() == {"items": [nothing]}

    written = simulate(tmp_path / "samples", START.date(), days=1)
    for path in sorted(written.files)[:HOURS]:
        key = f"modelled/{path.name}"
        space.store.put_bytes(space.settings.bucket_logs, key, path.read_bytes())
    ingest(space, "modelled")
    version = crown(space, "modelled", START, START + timedelta(hours=HOURS))

    (found,) = viewer.get("/v1/models").json()["items"]
    champion = found["champion"]
    assert (champion["version"], champion["family"]) == (version, "novelty")
    assert champion["learnt_from"] == "2026-03-02T00:00:00Z"
    assert champion["threshold"] == champion["figures"]["threshold"] > 0
    assert found["challenger"] is None

    path = f"/v1/models/modelled/{version}/evaluation"
    evaluation = viewer.get(path).json()
    assert {**evaluation, **champion} == evaluation
    curves = evaluation["curves"]
    windows = sum(curves["normal"]) + sum(curves["anomalous"])
    assert windows == evaluation["figures"]["windows"]
    assert len(curves["edges"]) == len(curves["normal"]) + 1
    assert curves["recall"][0] <= curves["recall"][-1] == 1
    assert len(curves["recall"]) == len(curves["precision"]) == len(curves["score"]) > 1
    assert len(curves["trials"]) == 1

    (said,) = viewer.get("/v1/models/modelled/promotions").json()["items"]
    assert (said["version"], said["policy"]) == (version, "never")
    assert {"name", "wanted", "passed"} <= set(said["checks"][0])
    # Other sources' models, and versions that are not there.
    assert viewer.get("/v1/models/modelled/999999999/evaluation").status_code == 404
    assert viewer.get("/v1/models/nobodys/1/evaluation").status_code == 404
    assert viewer.get("/v1/models/modelled/new/evaluation").status_code == 422


def test_promotions_come_in_pages_the_newest_first(space: Workspace, login: Login) -> None:
    viewer = login()
    row = {
        "source": "modelled",
        "model_name": "loganalyzer-modelled",
        "version": "1",
        "family": "novelty",
        "mlflow_run_id": "x",
        "checks": [],
        "passed": True,
        "reason": "<b>better</b>",
        "policy": "auto",
        "outcome": "promoted",
        "decided_by": "gate",
        "note": "",
    }
    with space.engine.begin() as conn:
        for number in range(5):
            promotions.record(conn, {**row, "dag_run_id": f"paged {number}"})
    listed, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = viewer.get("/v1/models/modelled/promotions", params=query).json()
        listed += [each["dag_run_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [each for each in listed if each.startswith("paged")] == [
        f"paged {number}" for number in (4, 3, 2, 1, 0)
    ]
    for place in (10**30, -1, "1e99"):
        query = {"cursor": paging.encode(place)}
        assert viewer.get("/v1/models/modelled/promotions", params=query).status_code == 422
    assert viewer.get("/v1/models/nobodys/promotions").status_code == 404
