"""People are told of an incident once, by real servers, whatever its text holds."""

from __future__ import annotations

import asyncio
import email
import json
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from include.alerting import AlertsFailed, send_alerts
from include.database import Engine, incidents
from include.settings import Settings, get_settings
from include.workspace import Workspace, open_workspace
from plugins.deadline import tell_late

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
HOSTILE = (
    "<!channel> & <https://evil|click>\x1b[31m\u202e\r\nBcc: eve@evil\n\n.\r\nQUIT "
    "'); DROP TABLE incidents; -- Zürich 🔥"
)
PLAIN = (
    "<!channel> & <https://evil|click>\\x1b[31m\\x202e\\x0d\\x0aBcc: eve@evil\\x0a\\x0a."
    "\\x0d\\x0aQUIT "
    "'); DROP TABLE incidents; -- Zürich 🔥"
)


class WebServer(ThreadingHTTPServer):
    """Keeps what is posted, and answers with a status for each path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posts)
        self.posts: list[tuple[str, Any, dict[str, str]]] = []
        self.refused: set[str] = set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Posts(BaseHTTPRequestHandler):
    server: WebServer

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # Whether a whole message or one that holds a text is refused, it is not kept.
        is_refused = any(each in self.path + json.dumps(document) for each in self.server.refused)
        if not is_refused:
            self.server.posts.append((self.path, document, dict(self.headers)))
        self.send_response(503 if is_refused else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP as `smtplib` speaks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[tuple[list[str], Message]] = []


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 here")
        recipients: list[str] = []
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
            if verb == "DATA":
                self.say("354 go on")
                raw = b"".join(iter(self.rfile.readline, b".\r\n")).replace(b"\r\n..", b"\r\n.")
                mail = email.message_from_bytes(raw, policy=default)
                self.server.mails.append((recipients, mail))
            if verb == "QUIT":
                return self.say("221 bye")
            self.say("250 ok")
        return None

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def running(server: Any) -> Iterator[Any]:
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with running(WebServer()) as server:
        yield server


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with running(MailServer()) as server:
        yield server


def space_with(engine: Engine, **said: object) -> Workspace:
    """A workspace on a database of its own, with these settings for alerts."""
    # The environment of the stack links to its dashboard.
    of_alerts = {"alert_link": "", **{f"alert_{name}": value for name, value in said.items()}}
    settings = Settings(**of_alerts)
    return Workspace(settings, open_workspace().store, engine, {})


def found(engine: Engine, *keys: str, **said: object) -> None:
    """Incidents as grouping writes them."""
    rows = [
        {
            "incident_id": key,
            "title": f"disk: {key}",
            "reason": "never seen before",
            "signature": "new:ab",
            "sources": ["disk"],
            "started_at": NINE,
            "ended_at": NINE + timedelta(hours=1),
            "first_night": NINE,
            "last_night": NINE,
            "anomalies": 1234,
            "sessions": 3,
            "severity": "medium",
            "score": 4.0,
            "component": None,
            "level": None,
            "state": "open",
            **said,
        }
        for key in keys
    ]
    with engine.begin() as conn:
        incidents.replace_from(conn, NEVER, rows, [], {})


def told(engine: Engine) -> list[str]:
    """Of which incidents the table says that people were told."""
    query = "SELECT incident_id FROM loganalyzer.incidents WHERE alerted_at IS NOT NULL ORDER BY 1"
    with engine.connect() as conn:
        return list(conn.scalars(sa.text(query)))


def test_one_message_for_each_incident_the_worst_first_and_never_again(
    engine: Engine, web: WebServer
) -> None:
    space = space_with(engine, webhook_url=web.url("/hook"), link="https://ops/{id}")
    found(engine, "a1")
    found(engine, "b2", severity="critical", state="ongoing")
    found(engine, "c3", state="expired")
    assert send_alerts(space) == {"sent": 2}
    assert send_alerts(space) == {"sent": 0}
    found(engine, "a1", anomalies=9999, severity="high")
    assert send_alerts(space) == {"sent": 0}
    assert [document["incident_id"] for _, document, _ in web.posts] == ["b2", "a1"]
    path, document, headers = web.posts[1]
    assert (path, headers["Idempotency-Key"]) == ("/hook", "a1")
    assert document == {
        "incident_id": "a1",
        "title": "disk: a1",
        "reason": "never seen before",
        "severity": "medium",
        "sources": ["disk"],
        "started_at": "2026-03-02 09:00 UTC",
        "ended_at": "2026-03-02 10:00 UTC",
        "anomalies": 1234,
        "link": "https://ops/a1",
    }


def test_what_people_have_resolved_is_not_sent(engine: Engine, web: WebServer) -> None:
    found(engine, "a1")
    with engine.begin() as conn:
        incidents.resolve(conn, "a1", "ann", "known")
    assert send_alerts(space_with(engine, webhook_url=web.url("/"))) == {"sent": 0}


def test_hostile_text_is_plain_text_in_slack(engine: Engine, web: WebServer) -> None:
    found(engine, "a1", title=HOSTILE, reason=HOSTILE)
    send_alerts(space_with(engine, slack_url=web.url("/slack")))
    ((_, document, _),) = web.posts
    escaped = PLAIN.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert document == {
        "mrkdwn": False,
        "text": f"medium: {escaped}\n{escaped}\n"
        "1,234 anomalies from 2026-03-02 09:00 UTC to 2026-03-02 10:00 UTC\n"
        "incident a1: see `loganalyzer incidents`",
    }


def test_hostile_text_is_plain_text_in_a_mail(engine: Engine, mail: MailServer) -> None:
    found(engine, "a1", title=HOSTILE, reason=f".\n{HOSTILE}")
    port = mail.server_address[1]
    send_alerts(
        space_with(engine, email_to="ann@x.org, bob@x.org", smtp_host="127.0.0.1", smtp_port=port)
    )
    ((recipients, message),) = mail.mails
    assert recipients == ["ann@x.org", "bob@x.org"]
    assert message["Subject"] == f"[medium] {PLAIN}"
    assert message["Bcc"] is None
    assert message["Message-ID"] == "<a1@loganalyzer>"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()  # type: ignore[attr-defined]
    assert text.splitlines()[:2] == [f"medium: {PLAIN}", f".\\x0a{PLAIN}"]


def test_what_is_not_taken_is_named_and_sent_by_the_next_run(
    engine: Engine, web: WebServer
) -> None:
    space = space_with(engine, webhook_url=web.url("/secret"))
    found(engine, "a1", "b2", "c3")
    web.refused = {"disk: b2"}
    with pytest.raises(
        AlertsFailed, match=r"incident b2 by webhook: it answered with .* 503"
    ) as error:
        send_alerts(space)
    assert "secret" not in str(error.value)
    assert told(engine) == ["a1", "c3"]
    web.refused = set()
    assert send_alerts(space) == {"sent": 1}
    assert told(engine) == ["a1", "b2", "c3"]
    assert sorted(document["incident_id"] for _, document, _ in web.posts) == ["a1", "b2", "c3"]


def test_who_was_told_on_one_way_is_not_told_again_since_another_failed(
    engine: Engine, web: WebServer
) -> None:
    found(engine, "a1")
    space = space_with(engine, webhook_url=web.url("/hook"), slack_url=web.url("/slack"))
    web.refused = {"/slack"}
    with pytest.raises(AlertsFailed, match="incident a1 by Slack"):
        send_alerts(space)
    assert send_alerts(space) == {"sent": 0}
    assert [path for path, _, _ in web.posts] == ["/hook"]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"webhook_url": "http://127.0.0.1:1/"}, id="nobody listens"),
        pytest.param({"webhook_url": "no address"}, id="no address"),
        pytest.param(
            {"email_to": "ann@x.org", "smtp_host": "127.0.0.1", "smtp_port": 1}, id="no mail server"
        ),
    ],
)
def test_a_server_that_is_not_there_leaves_all_unsent(
    engine: Engine, said: dict[str, object]
) -> None:
    found(engine, "a1", "b2")
    with pytest.raises(AlertsFailed, match=r"incident a1 by .*; incident b2 by "):
        send_alerts(space_with(engine, **said))
    assert told(engine) == []


def test_two_runs_at_once_send_no_incident_twice(engine: Engine, web: WebServer) -> None:
    keys = [f"k{n:02}" for n in range(30)]
    found(engine, *keys)
    space = space_with(engine, webhook_url=web.url("/"))
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(send_alerts, space) for _ in range(3)]
        sent = [run.result()["sent"] for run in runs]
    assert sum(sent) == 30
    assert sorted(document["incident_id"] for _, document, _ in web.posts) == keys


def test_without_a_notifier_nothing_is_claimed(engine: Engine) -> None:
    found(engine, "a1")
    assert send_alerts(space_with(engine)) == {"sent": 0}
    assert told(engine) == []


def test_people_are_told_of_a_run_that_is_late(
    stack: object, web: WebServer, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = mail.server_address
    for name, value in {
        "WEBHOOK_URL": web.url("/hook"),
        "EMAIL_TO": "ops@example.org",
        "SMTP_HOST": host,
        "SMTP_PORT": port,
    }.items():
        monkeypatch.setenv(f"LOGANALYZER_ALERT_{name}", str(value))
    get_settings.cache_clear()
    open_workspace.cache_clear()
    run = {"dag_id": "score_nightly", "dag_run_id": "scheduled__2026-03-03T02:30:00+00:00"}
    asyncio.run(tell_late(context={"dag_run": run}, by="06:00 UTC"))
    get_settings.cache_clear()
    open_workspace.cache_clear()
    ((_, document, _),) = web.posts
    ((recipients, message),) = mail.mails
    assert document["title"] == "score_nightly has not ended by 06:00 UTC"
    assert recipients == ["ops@example.org"]
    assert message["Subject"] == "[high] score_nightly has not ended by 06:00 UTC"
    assert "anomalies from" not in message.get_content()
