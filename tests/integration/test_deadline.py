"""A night that is not scored in time, under the real scheduler: people are told."""

from __future__ import annotations

import time

import psycopg2
import pytest

from services.airflow_api import AirflowApi, AirflowError
from services.local import Stack
from services.local.environment import database_url
from services.local.stack import AIRFLOW
from tests.conftest import STORES
from tests.include.database.test_alerting import WebServer, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAG = "score_nightly"
PATIENCE_S = 120


def test_a_run_that_misses_its_deadline_is_told_by_the_scheduler(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOGANALYZER_SOURCES_PATH", raising=False)
    with running(WebServer()) as web:
        monkeypatch.setenv("LOGANALYZER_ALERT_WEBHOOK_URL", web.url("/hook"))
        own_stack.up(only=STORES | {kind.name for kind in AIRFLOW})
        start_paused(own_stack.airflow())
        pass_the_deadline(own_stack)
        until = time.monotonic() + PATIENCE_S
        while not web.posts and time.monotonic() < until:
            time.sleep(1)
        own_stack.down()
    ((path, told, _),) = web.posts
    assert path == "/hook"
    assert told["title"].startswith(f"{DAG} has not ended by 06:00 UTC")


def start_paused(airflow: AirflowApi) -> None:
    """A run that waits, as its DAG is paused; once Airflow has read the file."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            airflow.trigger(DAG, {})
            return
        except AirflowError:
            if time.monotonic() > until:
                raise
            time.sleep(1)


def pass_the_deadline(stack: Stack) -> None:
    """As if three and a half hours had gone by."""
    url = database_url(stack.state(), "airflow").replace("+psycopg2", "")
    conn = psycopg2.connect(url)
    with conn, conn.cursor() as cursor:
        cursor.execute("UPDATE deadline SET deadline_time = now() - interval '1 second'")
        assert cursor.rowcount == 1
    conn.close()
