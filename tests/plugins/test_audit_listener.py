"""What people do in Airflow is in the record of actions, once."""

from __future__ import annotations

import logging
import socket
import time
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from airflow.utils.types import DagRunTriggeredByType

from include import database
from include.database import audit, promotions
from include.settings import get_settings
from include.workspace import Workspace
from plugins.audit_listener import AuditListener
from services.local import Stack
from tests.include.database.test_roles import logged_in


def run_of(who: str | None, by: DagRunTriggeredByType, **values: Any) -> Any:
    """As much of Airflow's row of a run as a listener may look at."""
    row = {
        "dag_id": "score_nightly",
        "run_id": f"manual__{uuid4().hex}",
        "conf": {"source": "disk"},
        "triggered_by": by,
        "triggering_user_name": who,
        "clear_number": 0,
    }
    return SimpleNamespace(**(row | values))


def rows_of(space: Workspace, subject: str) -> list[dict[str, Any]]:
    with space.engine.connect() as conn:
        return audit.entries(conn, audit.Which(subject=subject), None, 10)


def told(space: Workspace, run: Any) -> list[dict[str, Any]]:
    return rows_of(space, f"{run.dag_id} {run.run_id}")


def test_a_run_that_a_person_starts_is_written_down_as_it_begins_and_once(
    workspace: Workspace,
) -> None:
    run = run_of("ada", DagRunTriggeredByType.UI)
    for _ in range(2):
        AuditListener().on_dag_run_running(dag_run=run)
    AuditListener().on_dag_run_success(dag_run=run)
    (row,) = told(workspace, run)
    assert (row["actor"], row["action"], row["origin"]) == ("ada", "run.trigger", "airflow")
    assert row["after"] == {"source": "disk"}


@pytest.mark.parametrize(
    ("who", "by", "values"),
    [
        (None, DagRunTriggeredByType.TIMETABLE, {}),
        (None, DagRunTriggeredByType.ASSET, {}),
        ("ada", DagRunTriggeredByType.UI, {"clear_number": 1}),
    ],
    ids=["by the timetable", "by an asset", "a cleared one"],
)
def test_a_run_that_nobody_asked_for_is_no_action(
    who: str | None, by: DagRunTriggeredByType, values: dict[str, Any], workspace: Workspace
) -> None:
    run = run_of(who, by, **values)
    AuditListener().on_dag_run_running(dag_run=run)
    AuditListener().on_dag_run_success(dag_run=run)
    assert told(workspace, run) == []


def test_a_run_through_our_api_is_that_of_who_asked(workspace: Workspace) -> None:
    run = run_of(get_settings().airflow_user, DagRunTriggeredByType.REST_API)
    AuditListener().on_dag_run_running(dag_run=run)
    with workspace.engine.begin() as conn:
        person = audit.Actor("ada", "api")
        audit.record(conn, person, "run.trigger", f"{run.dag_id} {run.run_id}")
    AuditListener().on_dag_run_success(dag_run=run)
    assert [row["actor"] for row in told(workspace, run)] == ["ada"]


@pytest.mark.parametrize("end", ["on_dag_run_success", "on_dag_run_failed"])
def test_a_run_by_the_user_of_the_api_itself_is_written_down_at_its_end(
    end: str, workspace: Workspace
) -> None:
    run = run_of(get_settings().airflow_user, DagRunTriggeredByType.REST_API)
    getattr(AuditListener(), end)(dag_run=run)
    assert [row["actor"] for row in told(workspace, run)] == [get_settings().airflow_user]


def test_an_answer_names_who_gave_it_and_one_through_our_api_is_there_already(
    workspace: Workspace,
) -> None:
    run_id = uuid4().hex
    subject = f"train_detectors {run_id}"
    with workspace.engine.begin() as conn:
        through_api = {"option": "Approve", "map_index": 0}
        audit.record(conn, audit.Actor("bob", "api"), "run.answer", subject, None, through_api)
    said = {"chosen_options": ["Reject"], "responded_by_user": {"id": "1", "name": "ada"}}
    for index in (0, 1):
        instance = SimpleNamespace(
            task=SimpleNamespace(hitl_summary_extra=said, subject="may it?"),
            task_id="approve",
            dag_id="train_detectors",
            run_id=run_id,
            map_index=index,
        )
        AuditListener().on_task_instance_success(task_instance=instance)
    by_ada, by_bob = rows_of(workspace, subject)
    assert (by_bob["actor"], by_bob["after"]["map_index"]) == ("bob", 0)
    assert (by_ada["actor"], by_ada["origin"]) == ("ada", "airflow")
    assert by_ada["after"] == {"option": "Reject", "map_index": 1, "subject": "may it?"}


def test_a_row_that_cannot_be_written_is_loud_and_stops_nobody(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOGANALYZER_DATABASE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    with caplog.at_level(logging.ERROR):
        AuditListener().on_dag_run_running(dag_run=run_of("ada", DagRunTriggeredByType.UI))
    assert "NOT RECORDED in audit_log: run.trigger by ada" in caplog.text


def test_a_database_that_says_nothing_does_not_hold_the_scheduler(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "LONGEST_CONNECT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        url = f"postgresql+psycopg2://nobody@{place}/none"
        monkeypatch.setenv("LOGANALYZER_DATABASE_URL", url)
        get_settings.cache_clear()
        begun = time.monotonic()
        AuditListener().on_dag_run_running(dag_run=run_of("ada", DagRunTriggeredByType.UI))
    assert time.monotonic() - begun < 10
    assert "NOT RECORDED in audit_log: run.trigger by ada" in caplog.text


def test_a_login_that_only_adds_to_the_record_adds_to_it(
    workspace: Workspace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = workspace.engine.url
    password = stack.state().secrets["postgres_password"]
    superuser = sa.create_engine(
        url.set(username="postgres", password=password), isolation_level="AUTOCOMMIT"
    )
    run = run_of("ada", DagRunTriggeredByType.UI)
    whole = url.render_as_string(hide_password=False)
    with logged_in(superuser, whole, database.ROLES[0]) as writer:
        own = writer.url.render_as_string(hide_password=False)
        monkeypatch.setenv("LOGANALYZER_DATABASE_URL", own)
        get_settings.cache_clear()
        AuditListener().on_dag_run_running(dag_run=run)
    superuser.dispose()
    assert [row["actor"] for row in told(workspace, run)] == ["ada"]


def test_a_promotion_and_the_way_back_are_written_down_with_their_outcome(
    workspace: Workspace,
) -> None:
    source = f"t_{uuid4().hex[:8]}"
    row = {
        "source": source,
        "model_name": "m",
        "version": "2",
        "family": "novelty",
        "champion_before": "1",
        "mlflow_run_id": "r",
        "checks": [],
        "passed": True,
        "reason": "better",
        "policy": "approve",
        "note": "",
    }
    waiting = {"dag_run_id": "a", "outcome": "waiting", "decided_by": promotions.GATE}
    back = {"dag_run_id": "b", "outcome": "rolled_back", "decided_by": "bob", "version": "1"}
    with workspace.engine.begin() as conn:
        promotions.record(conn, row | waiting)
        for _ in range(2):
            promotions.decide(conn, source, "a", "promoted", "ada")
            promotions.record(conn, row | back | {"champion_before": "2"}, "cli")
        promotions.decide(conn, source, "b", "moved_back", origin="cli")
    told = [
        (each["actor"], each["origin"], each["action"], each["before"], each["after"]["version"])
        for each in reversed(rows_of(workspace, source))
    ]
    assert told == [
        ("ada", "airflow", "model.promote", {"version": "1"}, "2"),
        ("bob", "cli", "model.roll_back", {"version": "2"}, "1"),
        ("gate", "cli", "model.roll_back", {"version": "1"}, "2"),
    ]
