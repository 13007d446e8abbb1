"""Every page of the dashboard in a real browser, with data: as people see it, without errors,
accessible, and running nothing of what a log holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from include.objects import ObjectStore
from include.settings import Settings
from services.local import Stack
from services.local.environment import FIRST_USER, address
from tests.conftest import temporary_stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SCREENSHOTS = os.environ.get("LOGANALYZER_SCREENSHOTS")
PATIENCE_MS = 30_000
PAGES = {
    "tonight": "/",
    "incident": "/incident?id={incident}",
    "incidents": "/incident",
    "sources": "/sources?source=storage",
    "template": "/template?id={template}",
    "add-source": "/add-source",
    "models": "/models?source=storage",
    "retrain": "/models?source=storage&tab=Retrain",
    "run": "/run?dag={dag}&run={run}",
    "try-it": "/try-it",
    "account": "/account",
    "admin": "/admin",
    "audit": "/audit",
}
# What `docs/dashboard.md` shows of these; two more are taken with something to see on them.
SHOWN = {"tonight", "incident", "sources", "models", "admin"}
# Streamlit asks for these below the address of each page before it asks at the root.
PROBES = re.compile(r"/[a-z-]+/_stcore/(health|host-config)$")
NAME = "guestbook"
SOURCE_FILE = f"""
name: {NAME}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""
RUNS = "window.__ran=1;alert(1)"
# What a page, or what reads Markdown, could run or load.
HOSTILE = [
    f"<script>{RUNS}</script><img src=x onerror={RUNS}>",
    f"<svg onload={RUNS}><iframe srcdoc='<script>parent.{RUNS}</script>'></svg>",
    "![x](http://evil.example/x.png) [y](javascript:window.__ran=1) <http://evil.example/z>",
    "<style>@import 'http://evil.example/x.css'</style><link rel=stylesheet href=//evil.example>",
    "'); DROP TABLE loganalyzer.anomalies; --",
    "right-to-left \u202etxt.exe\u202c \u2066hidden\u2069 \x1b[2J\x1b[31mred\x07",
    "$\\href{javascript:window.__ran=1}{x}$ :red[x] :material/home: `code` **bold** {{7*7}} %s",
]


@dataclass
class Seen:
    """What a page did that it should not."""

    errors: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """A running dashboard with data."""

    stack: Stack
    url: str
    api: httpx.Client
    secret: str
    password: str

    def address(self, page: str) -> str:
        """Of a page of ours, with ids of what there is."""
        path = PAGES[page]
        if "{incident}" in path:
            incidents = self.get("/v1/incidents", source="storage")["items"]
            return self.url + path.format(incident=incidents[0]["incident_id"])
        if "{template}" in path:
            templates = self.get("/v1/templates", source="storage")["items"]
            return self.url + path.format(template=templates[0]["template_id"])
        if "{run}" in path:
            run = self.get("/v1/runs", dag_id="train_detectors")["items"][0]
            return self.url + path.format(dag=run["dag_id"], run=quote(run["run_id"]))
        return self.url + path

    def get(self, path: str, **query: Any) -> Any:
        return self.api.get(path, params=query).raise_for_status().json()


@pytest.fixture(scope="module")
def site(browser: Browser) -> Iterator[Site]:
    """The stack after `make demo`, with a source beside it of which nothing has come yet."""
    with temporary_stack() as stack:
        own_sources = stack.folder / "sources"
        own_sources.mkdir(parents=True)
        (own_sources / f"{NAME}.yaml").write_text(SOURCE_FILE)
        command(stack, "demo")
        yield site_of(stack)


@pytest.fixture(scope="module")
def hostile_site(site: Site) -> Site:
    """The same once hostile lines have come in: after the pictures were taken."""
    add_hostile_lines(site.stack)
    return site


def site_of(stack: Stack) -> Site:
    state = stack.state()
    api, password = address(state, "api"), state.secrets["admin_password"]
    given = {"name": FIRST_USER, "password": password}
    secret = httpx.post(f"{api}/v1/session", json=given).raise_for_status().json()["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    client = httpx.Client(base_url=api, headers=headers, timeout=60)
    return Site(stack, address(state, "dashboard"), client, secret, password)


def command(stack: Stack, *words: str) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOGANALYZER_")}
    subprocess.run(
        [Path(sys.executable).with_name("loganalyzer"), *words],
        env={**kept, "LOGANALYZER_STACK_DIR": str(stack.folder)},
        check=True,
    )


def add_hostile_lines(stack: Stack) -> None:
    """A day of a source in which some sessions hold what could run, taken through the pipeline."""
    day = datetime.now(UTC).date() - timedelta(days=1)
    values = {
        name.removeprefix("LOGANALYZER_").lower(): value
        for name, value in stack.environment().items()
        if name != "LOGANALYZER_STACK_DIR"
    }
    store = ObjectStore(Settings.model_validate(values))
    store.put_bytes("logs", f"{NAME}/<img src=x onerror={RUNS}>.log", hostile_log(day.isoformat()))
    command(stack, "ingest", "--source", NAME)
    command(stack, "score", "--source", NAME)


def hostile_log(day: str) -> bytes:
    usual = [
        f"{day} {n // 60:02}:{n % 60:02}:00,000 INFO a.B: req={n:08x} all is well"
        for n in range(300)
    ]
    odd = [
        f"{day} 07:{n:02}:00,000 ERROR a.B: req=ffff000{n} {text}" for n, text in enumerate(HOSTILE)
    ]
    return "\n".join([*usual, *odd, ""]).encode()


@pytest.fixture
def opened(browser: Browser, site: Site) -> Iterator[tuple[Page, Seen]]:
    """A page of somebody who has logged in, and what it does wrong, which is nothing."""
    with watched(browser, site) as both:
        yield both


@contextmanager
def watched(
    browser: Browser, site: Site, is_signed_in: bool = True, width: int = 1360, **options: Any
) -> Iterator[tuple[Page, Seen]]:
    """A page, and what it does that it should not: at the end, nothing."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    if is_signed_in:
        cookie = {"name": "loganalyzer_session", "value": site.secret, "path": "/"}
        context.add_cookies([{**cookie, "domain": "127.0.0.1"}])
    page, seen = context.new_page(), Seen()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: _note_error(message, seen))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: _note_other(request, seen))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    try:
        yield page, seen
    finally:
        context.close()
    assert seen == Seen()


def _note_error(message: ConsoleMessage, seen: Seen) -> None:
    if message.type == "error" and not PROBES.search(message.location["url"]):
        seen.errors.append(f"{message.text} ({message.location['url']})")


def _note_other(request: Request, seen: Seen) -> None:
    parts = urlsplit(request.url)
    if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
        seen.others.append(request.url)


def go(page: Page, url: str) -> None:
    page.goto(url)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page shows what it is about, and nothing runs for it any more."""
    page.locator("[data-testid=stMain] h1").first.wait_for()
    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=PATIENCE_MS)
    page.wait_for_timeout(500)  # charts are drawn after that
    assert page.locator("[data-testid=stException]").count() == 0


def faults(page: Page) -> list[str]:
    """What axe finds serious or worse; of Streamlit's own elements nothing has to be left out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:300]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def keep(page: Page, name: str) -> None:
    """A screenshot of the whole page, where somebody wants them."""
    if not SCREENSHOTS:
        return
    height = page.locator("[data-testid=stMain]").evaluate("element => element.scrollHeight")
    page.set_viewport_size({"width": 1360, "height": min(max(700, height), 1500)})
    page.wait_for_timeout(500)
    page.screenshot(path=Path(SCREENSHOTS, f"dashboard-{name}.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_itself_without_errors_and_faults(
    browser: Browser, site: Site, name: str, scheme: str
) -> None:
    with watched(browser, site, color_scheme=scheme) as (page, _):
        go(page, site.address(name))
        assert faults(page) == []
        assert page.get_by_test_id("stAlertContentError").count() == 0
        if scheme == "light" and name in SHOWN:
            keep(page, name)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_phone(browser: Browser, site: Site, name: str) -> None:
    with watched(browser, site, width=390, has_touch=True) as (page, _):
        go(page, site.address(name))
        wide = page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth")
        assert wide <= 0


def test_who_signs_in_comes_back_to_the_page_and_can_sign_out(browser: Browser, site: Site) -> None:
    with watched(browser, site, is_signed_in=False) as (page, _):
        go(page, f"{site.url}/sources?source=storage")
        assert faults(page) == []
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("Name").fill(FIRST_USER)
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Log in", exact=True).click()
        expect(page.get_by_role("heading", name="Sources and templates")).to_be_visible()
        assert page.url == f"{site.url}/sources?source=storage"
        page.get_by_role("link", name="Sign out").click()
        page.get_by_role("button", name="Log out").click()
        go(page, site.url)
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_log_is_tried_and_a_source_made_of_it(opened: tuple[Page, Seen], site: Site) -> None:
    page, _ = opened
    incident = site.get("/v1/incidents", source="storage")["items"][0]["incident_id"]
    passages = site.get(f"/v1/incidents/{incident}/lines", context=50)["items"]
    lines = [line["text"] for passage in passages for line in passage["lines"]]
    try_lines(page, site, "\n".join(lines))
    keep(page, "try-it")
    upload(page, site, "storage.log", "\n".join(lines).encode())
    keep(page, "add-source")
    file = page.get_by_role("textbox", name="The file of the source")
    file.fill(file.input_value().replace("name: storage", "name: of_my_own"))
    file.press("Control+Enter")
    page.get_by_text("of_my_own/").wait_for()


def try_lines(page: Page, site: Site, text: str) -> None:
    go(page, f"{site.url}/try-it")
    page.get_by_label("Lines", exact=True).fill(text)
    page.get_by_role("button", name="Judge these lines").click()
    page.get_by_role("heading", name="Templates").wait_for()
    settle(page)
    assert faults(page) == []


def upload(page: Page, site: Site, name: str, sample: bytes) -> None:
    go(page, f"{site.url}/add-source")
    file = {"name": name, "mimeType": "text/plain", "buffer": sample}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Download the file").wait_for()
    settle(page)
    assert faults(page) == []


def test_one_click_says_that_an_incident_was_real(opened: tuple[Page, Seen], site: Site) -> None:
    page, _ = opened
    go(page, site.address("incident"))
    page.get_by_role("button", name="It was real").click()
    page.get_by_text("Noted: it was real").wait_for()
    assert site.get("/v1/feedback", source="storage")["items"][0]["verdict"] == "true"
    entry = site.get("/v1/audit", action="feedback.give")["items"][0]
    assert (entry["actor"], entry["origin"]) == (FIRST_USER, "dashboard")


def test_a_mute_tells_what_it_hides_before_it_is_made(
    opened: tuple[Page, Seen], site: Site
) -> None:
    page, _ = opened
    incident = site.get("/v1/incidents", source="storage")["items"][-1]
    go(page, f"{site.url}/incident?id={incident['incident_id']}")
    page.get_by_role("button", name="False alarm").click()
    page.get_by_text(re.compile("would have hidden")).wait_for()
    assert faults(page) == []
    page.get_by_role("textbox", name="Why").fill("a test of the backup")
    page.get_by_role("button", name="Mute this kind").click()
    page.get_by_text("Noted: a false alarm").wait_for()
    newest = site.get("/v1/feedback", source="storage")["items"][0]
    assert (newest["verdict"], newest["reason"]) == ("false", "a test of the backup")


def test_a_retrain_is_started_with_the_form_of_airflow_and_followed(
    opened: tuple[Page, Seen], site: Site
) -> None:
    page, _ = opened
    go(page, site.address("retrain"))
    page.get_by_role("spinbutton", name="Trials").fill("1")
    page.get_by_role("textbox", name="Note").fill("from the dashboard")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("heading", name="Run of train_detectors").wait_for()
    settle(page)
    run = site.get("/v1/runs", dag_id="train_detectors")["items"][0]
    assert run["conf"]["note"] == "from the dashboard"
    assert run["conf"]["trials"] == 1
    assert quote(run["run_id"]) in page.url
