"""The DAG files: light to read, complete in what they say, and right when run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.settings import PROJECT_ROOT

DAGS = sorted(path.stem for path in (PROJECT_ROOT / "dags").glob("[a-z]*.py"))
HEAVY = {"torch", "sklearn", "mlflow", "great_expectations", "pandas", "polars", "transformers"}
# Beyond importing Airflow itself. A fresh interpreter on a busy machine is what is measured.
PARSE_BUDGET_S = 0.8
PARSE = """
import json, sys, time, importlib.util
import airflow.sdk
from airflow.sdk import DAG, Asset, Param, dag, task, CronTriggerTimetable
before = set(sys.modules)
begun = time.process_time()
spec = importlib.util.spec_from_file_location("dag_file", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps({"seconds": time.process_time() - begun, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def dags(stack: object) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(PROJECT_ROOT / "dags"))
    assert bag.import_errors == {}
    return bag.dags


@pytest.mark.parametrize("name", DAGS)
def test_a_dag_file_parses_without_heavy_libraries(name: str) -> None:
    path = PROJECT_ROOT / "dags" / f"{name}.py"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
    )
    report = json.loads(answer.stdout.splitlines()[-1])
    assert HEAVY & {module.split(".")[0] for module in report["modules"]} == set()
    assert report["seconds"] < PARSE_BUDGET_S


@pytest.mark.parametrize("name", DAGS)
def test_a_file_holds_the_dag_of_its_name(name: str, dags: dict[str, Any]) -> None:
    assert Path(dags[name].fileloc).stem == name


@pytest.mark.parametrize("name", DAGS)
def test_a_dag_says_whose_it_is_and_what_to_do_when_it_fails(
    name: str, dags: dict[str, Any]
) -> None:
    dag = dags[name]
    assert "loganalyzer" in dag.tags
    assert "*If it fails:*" in dag.doc_md
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert dag.dagrun_timeout is not None
    for task in dag.tasks:
        assert task.owner == "loganalyzer"
        assert task.retries >= 1
        assert task.execution_timeout is not None


@pytest.mark.parametrize("name", DAGS)
def test_every_parameter_has_a_title_and_a_description(name: str, dags: dict[str, Any]) -> None:
    for param in (dags[name].params.get_param(key) for key in dags[name].params):
        assert param.schema.get("title")
        assert param.schema.get("description") or param.description


def test_each_asset_is_made_where_it_should_be(dags: dict[str, Any]) -> None:
    made = [asset.name for dag in dags.values() for task in dag.tasks for asset in task.outlets]
    assert sorted(made) == [
        "anomalies",
        "champion_models",
        "champion_models",
        "lake_events",
        "source_drift",
    ]


def test_a_shadow_comes_after_the_champion_and_can_be_switched_off(dags: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    shadow = dags["score_nightly"].get_task("shadow")
    assert "score" in shadow.upstream_task_ids
    with pytest.raises(AirflowSkipException, match="switches it off"):
        shadow.python_callable(night={}, params={"shadow": False, "model_version": None})
    with pytest.raises(AirflowSkipException, match="only compares"):
        shadow.python_callable(night={}, params={"shadow": True, "model_version": "2"})


def test_incidents_are_grouped_whatever_became_of_a_source_and_a_failed_night_shows(
    dags: dict[str, Any],
) -> None:
    dag = dags["score_nightly"]
    grouped = dag.get_task("group_incidents")
    assert {"plan_nights", "score"} <= grouped.upstream_task_ids
    assert grouped.trigger_rule == "all_done_min_one_success"
    assert dag.get_task("alert").upstream_task_ids == {"group_incidents"}
    # A run fails with its leaves: one of them must come after `score` and need it.
    assert "shadow" in {task.task_id for task in dag.leaves}


def test_people_are_told_where_scoring_is_not_done_by_six(dags: dict[str, Any]) -> None:
    from plugins.deadline import tell_late

    (alert,) = dags["score_nightly"].deadline
    assert alert.callback.path == f"{tell_late.__module__}.tell_late"
    half_past_two = timedelta(hours=2, minutes=30)
    assert half_past_two + alert.interval == timedelta(hours=6)
