"""Inside a real Airflow, in a real browser: the page, the tab, the links, and what is written down
of what people do there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from playwright.sync_api import Browser, Page

from include.database import audit, labels
from include.database.audit import Which
from include.workspace import Workspace, open_workspace
from services.airflow_api import AirflowApi, RunProgress
from services.local import Stack
from services.local.environment import AIRFLOW_USER
from services.simulator import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NIGHT = datetime(2026, 3, 6, tzinfo=UTC)
DAYS = 5
TO_THINK_S = 15
MARKUP = "<img src=x onerror=document.title='ran'><script>document.title='ran'</script>"
# What a browser remarks on in Airflow's own pages.
NOT_OURS = ("/ui/config", "escape its sandboxing")


@pytest.fixture(scope="module")
def space(airflow_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The stack with the sample logs of five days, and on the last of them lines with markup."""
    first = (NIGHT - timedelta(days=DAYS - 1)).date()
    simulation = simulate(tmp_path_factory.mktemp("samples"), first, DAYS)
    space = open_workspace()
    bucket = space.settings.bucket_logs
    for path in simulation.files:
        key = str(path.relative_to(simulation.folder))
        space.store.put_bytes(bucket, key, path.read_bytes())
    line = f"{NIGHT:%Y-%m-%d} 12:00:00,000 ERROR store.Writer: req=abcdef01 {MARKUP}\n"
    space.store.put_bytes(bucket, "storage/hostile.log", line.encode())
    return space


@pytest.fixture(scope="module")
def airflow(space: Workspace, airflow_stack: Stack) -> AirflowApi:
    api = airflow_stack.airflow()
    for dag_id in ("ingest_logs", "train_detectors", "score_nightly"):
        api.unpause(dag_id)
    return api


@pytest.fixture(scope="module")
def token(airflow: AirflowApi, airflow_stack: Stack) -> str:
    """Of the person who does all this."""
    login = {
        "username": AIRFLOW_USER,
        "password": airflow_stack.state().secrets["airflow_password"],
    }
    answer = httpx.post(f"{airflow.url}/auth/token", json=login)
    return str(answer.raise_for_status().json()["access_token"])


@pytest.fixture(scope="module")
def run(airflow: AirflowApi, token: str) -> Callable[[str, dict[str, Any]], str]:
    """A run that somebody starts in the UI, to its end; where it asks, the answer is yes."""

    def start_and_wait(dag_id: str, conf: dict[str, Any]) -> str:
        # What tells the UI from programs, to Airflow, is the referer.
        begun = httpx.post(
            f"{airflow.url}/api/v2/dags/{dag_id}/dagRuns",
            json={"logical_date": None, "conf": conf},
            headers={"Authorization": f"Bearer {token}", "Referer": airflow.url},
        )
        run_id: str = begun.raise_for_status().json()["dag_run_id"]
        asked: list[float] = []

        def answer_as_people_do(progress: RunProgress) -> None:
            if "awaiting_input" in progress.tasks:
                asked.append(time.monotonic())
                if asked[-1] - asked[0] > TO_THINK_S:
                    airflow.answer(dag_id, run_id, "approve", "Approve", map_index=0)

        airflow.wait(dag_id, run_id, answer_as_people_do, seconds=900)
        return run_id

    return start_and_wait


@pytest.fixture(scope="module")
def ingested(run: Callable[..., str]) -> str:
    return run("ingest_logs", {"source": "storage"})


@pytest.fixture(scope="module")
def trained(run: Callable[..., str], ingested: str, space: Workspace) -> str:
    """A run whose challenger a person has approved; that nothing in its period is odd is known."""
    start = NIGHT - timedelta(days=DAYS - 1)
    known = labels.LabelRow(None, start, NIGHT, is_anomalous=False)
    with space.engine.begin() as conn:
        labels.import_labels(conn, "storage", [known], "a test", "so they are made")
    conf = {
        "source": "storage",
        "families": ["novelty"],
        "trials": 1,
        "policy": "approve",
        "period_start": start.isoformat(),
        "period_end": NIGHT.isoformat(),
    }
    return run("train_detectors", conf)


@pytest.fixture(scope="module")
def scored(run: Callable[..., str], trained: str) -> str:
    return run("score_nightly", {"source": "storage", "first_day": str(NIGHT.date())})


@pytest.fixture(scope="module")
def page(browser: Browser, airflow_stack: Stack, airflow: AirflowApi) -> Page:
    """Of somebody who has logged in to Airflow; what the console says is in `said`."""
    opened = browser.new_page(viewport={"width": 1280, "height": 850})
    opened.goto(airflow.url)
    opened.fill("input[name=username]", AIRFLOW_USER)
    opened.fill("input[name=password]", airflow_stack.state().secrets["airflow_password"])
    opened.keyboard.press("Enter")
    opened.wait_for_url(f"{airflow.url}/")
    return opened


@pytest.fixture
def said(page: Page) -> list[str]:
    """What went wrong in the pages of a test, but what Airflow itself brings."""
    found: list[str] = []

    def listen(message: Any) -> None:
        text = f"{message.text} {message.location.get('url')}"
        if message.type in ("error", "warning") and not any(each in text for each in NOT_OURS):
            found.append(text)

    page.on("console", listen)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def rows_of(space: Workspace, action: str, subject: str) -> list[dict[str, Any]]:
    with space.engine.connect() as conn:
        return audit.entries(conn, Which(action=action, subject=subject), None, 10)


def links_of(page: Page, task: str, map_index: int = -1) -> dict[str, str]:
    answer = page.request.get(f"{task}/links?map_index={map_index}")
    links: dict[str, str] = answer.json()["extra_links"]
    return links


def test_the_tab_of_a_run_shows_its_anomalies_and_runs_nothing_of_them(
    scored: str, page: Page, airflow: AirflowApi, said: list[str], tmp_path: Path
) -> None:
    page.goto(f"{airflow.url}/dags/score_nightly/runs/{scored}/plugin/anomalies")
    frame = page.frame_locator("iframe[title=Anomalies]")
    frame.get_by_role("heading", name="storage, night of 2026-03-06").wait_for()
    assert frame.locator("tr", has_text="silence from").count()
    assert frame.get_by_text("onerror=document.title").count()
    assert frame.locator("script, img").count() == 0
    assert frame.locator("body").evaluate("body => document.title") == "LogAnalyzer"
    # Its own style holds, which the policy names by its digest.
    assert frame.locator("table").first.evaluate("t => getComputedStyle(t).borderCollapse") == (
        "collapse"
    )
    page.screenshot(path=tmp_path / "anomalies.png")
    assert said == []


def test_the_tab_of_a_training_run_shows_the_checks_of_the_gate(
    trained: str, page: Page, airflow: AirflowApi, said: list[str]
) -> None:
    page.goto(f"{airflow.url}/dags/train_detectors/runs/{trained}/plugin/anomalies")
    frame = page.frame_locator("iframe[title=Anomalies]")
    frame.get_by_role("heading", name="(novelty): promoted").wait_for()
    assert frame.locator("tr", has_text="false alarms a day").count() == 1
    assert said == []


def test_the_page_in_the_navigation_shows_incidents_nights_and_verdicts(
    scored: str, page: Page, airflow: AirflowApi, said: list[str]
) -> None:
    page.goto(airflow.url)
    page.get_by_role("link", name="LogAnalyzer").click()
    frame = page.frame_locator("iframe[title=LogAnalyzer]")
    frame.get_by_role("heading", name="Open incidents").wait_for()
    assert frame.locator("tr", has_text="2026-03-06").count() >= 2
    assert frame.locator("tr", has_text="promoted").count() == 1
    assert said == []


def test_tasks_link_to_the_data_docs_and_to_the_night_in_the_dashboard(
    ingested: str, scored: str, page: Page, airflow: AirflowApi, space: Workspace
) -> None:
    for task_id, layer in (("validate", "parsed"), ("publish", "events")):
        task = f"{airflow.url}/api/v2/dags/ingest_logs/dagRuns/{ingested}/taskInstances/{task_id}"
        address = links_of(page, task)["Data Docs"]
        assert httpx.get(address).status_code == 401
        shown = page.request.get(address)
        assert shown.status == 200
        assert layer in shown.text()
    task = f"{airflow.url}/api/v2/dags/score_nightly/dagRuns/{scored}/taskInstances/score"
    night = links_of(page, task, map_index=0)["Dashboard"]
    assert night == f"{space.settings.dashboard_url}/tonight?night=2026-03-06"


def test_a_login_without_a_right_is_refused(
    airflow: AirflowApi, token: str, airflow_stack: Stack
) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    secret = airflow_stack.state().secrets["airflow_jwt_secret"]
    algorithm = jwt.get_unverified_header(token)["alg"]
    eve = jwt.encode(claims | {"sub": "eve", "role": None}, secret, algorithm)
    for path in ("/", "/runs/score_nightly/x", "/docs/x/index.html"):
        answer = httpx.get(f"{airflow.url}/loganalyzer{path}", cookies={"_token": eve})
        assert answer.status_code == 403


def test_what_people_do_in_airflow_is_written_down(
    trained: str, scored: str, space: Workspace
) -> None:
    (begun,) = rows_of(space, "run.trigger", f"score_nightly {scored}")
    assert (begun["actor"], begun["origin"]) == (AIRFLOW_USER, "airflow")
    assert begun["after"]["source"] == "storage"
    (answer,) = rows_of(space, "run.answer", f"train_detectors {trained}")
    assert (answer["actor"], answer["after"]["option"]) == (AIRFLOW_USER, "Approve")
    (promotion,) = rows_of(space, "model.promote", "storage")
    assert promotion["actor"] == AIRFLOW_USER
    assert promotion["before"] == {"version": None}
    assert promotion["after"]["dag_run_id"] == trained
