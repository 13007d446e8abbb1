"""Under the real scheduler, on HDFS_2pct: retrains that lose, win, wait for people and go back."""

from __future__ import annotations

import csv
import gzip
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include import tracking
from include.database.labels import LabelRow, import_labels
from include.workspace import Workspace, open_workspace
from ml.families import FAMILIES
from services.airflow_api import AirflowApi, AirflowError, RunProgress
from services.local import Stack
from services.local.environment import AIRFLOW_USER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

SOURCE = """
name: hdfs
format: hdfs
windowing: {kind: session, key: '(blk_-?[0-9]+)', idle_timeout: 12h, longest_span: 48h}
"""
DAG_ID = "train_detectors"
TO_THINK_S = 15
PERIOD = {
    "source": "hdfs",
    "period_start": "2008-11-09T00:00:00Z",
    "period_end": "2008-11-12T00:00:00Z",
}
# Networks are tuned by the benchmark; here each family has to come through, all of its defaults.
ALL = {**PERIOD, "families": list(FAMILIES), "trials": 1}
WEAK = {**PERIOD, "families": ["isolation_forest"], "trials": 2}


@pytest.fixture(scope="module")
def airflow(airflow_stack: Stack, data_dir: Path) -> AirflowApi:
    """The stack with HDFS_2pct in the lake, and its labels."""
    folder = airflow_stack.folder / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "hdfs.yaml").write_text(SOURCE)
    open_workspace.cache_clear()
    space = open_workspace()
    data = (data_dir / "hdfs" / "HDFS_2pct.log.gz").read_bytes()
    space.store.put_bytes(space.settings.bucket_logs, "hdfs/HDFS_2pct.log.gz", data)
    with gzip.open(data_dir / "hdfs" / "HDFS_2pct_labels.csv.gz", "rt") as lines:
        labels = [
            LabelRow(row["BlockId"], None, None, row["Label"] in ("Anomaly", "1"))
            for row in csv.DictReader(lines)
        ]
    with space.engine.begin() as conn:
        import_labels(conn, "hdfs", labels, "loghub", "published")
    api = airflow_stack.airflow()
    for dag_id in ("ingest_logs", DAG_ID):
        api.unpause(dag_id)
    api.wait("ingest_logs", api.trigger("ingest_logs", {"source": "hdfs"}), seconds=600)
    return api


def run(airflow: AirflowApi, conf: dict[str, Any], answer: str | None = None) -> sa.RowMapping:
    """A run to its end, and what became of its challenger."""
    run_id = airflow.trigger(DAG_ID, conf)

    asked: list[float] = []

    def answer_as_people_do(progress: RunProgress) -> None:
        # Airflow takes an answer that comes before its scheduler's next round for a lost task, and
        # asks again: people are slower than that.
        if answer is None or "awaiting_input" not in progress.tasks:
            return
        asked.append(time.monotonic())
        if asked[-1] - asked[0] > TO_THINK_S:
            airflow.answer(DAG_ID, run_id, "approve", answer, map_index=0)

    airflow.wait(DAG_ID, run_id, answer_as_people_do, seconds=1800)
    query = sa.text("SELECT * FROM loganalyzer.promotions WHERE dag_run_id = :run_id")
    with open_workspace().engine.connect() as conn:
        return conn.execute(query, {"run_id": run_id}).mappings().one()


def champion(space: Workspace) -> str | None:
    return tracking.aliases(tracking.connect(space.settings), "hdfs").champion


def test_all_that_may_become_of_a_challenger(airflow: AirflowApi) -> None:
    space = open_workspace()
    client = tracking.connect(space.settings)

    weak = run(airflow, {**WEAK, "policy": "never"})
    assert weak["figure"] == "average precision"
    # Somebody makes it the champion all the same, by hand, in MLflow.
    tracking.promote(client, "hdfs", weak["version"], "by hand")

    rejected = run(airflow, {**ALL, "policy": "approve"}, answer="Reject")
    assert (rejected["passed"], rejected["outcome"]) == (True, "rejected")
    assert rejected["decided_by"] == AIRFLOW_USER
    assert champion(space) == weak["version"]

    approved = run(airflow, {**ALL, "policy": "approve"}, answer="Approve")
    assert (approved["version"], approved["outcome"]) == (rejected["version"], "promoted")
    assert champion(space) == approved["version"]
    assert approved["champion_figure"] + 0.01 <= approved["challenger_figure"]

    refused = run(airflow, WEAK)
    assert refused["outcome"] == "refused"
    assert "average precision" in refused["reason"]
    assert champion(space) == approved["version"]

    back = run(airflow, {"source": "hdfs", "roll_back": True})
    assert back["outcome"] == "rolled_back"
    assert champion(space) == weak["version"]


def test_a_form_that_asks_for_nonsense_is_refused_over_rest_too(airflow: AirflowApi) -> None:
    for nonsense in ({"families": ["oracle"]}, {"trials": 0}, {"policy": "perhaps"}):
        with pytest.raises(AirflowError, match="400"):
            airflow.trigger(DAG_ID, {**PERIOD, **nonsense})
