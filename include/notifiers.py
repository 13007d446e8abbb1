"""Notifiers: the ways on which people are told of an incident.

Where do I go to add one? A class with `name` and `send` here, its settings in `settings.py`, and a
line in `configured`. What is sent comes from logs: it is plain text everywhere.
"""

from __future__ import annotations

import logging
import smtplib
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any, ClassVar, Protocol

import httpx

from include.settings import Settings

TIMEOUT_S = 10.0
# It logs the addresses that it posts to, which are secrets.
logging.getLogger("httpx").setLevel(logging.WARNING)


class NotSent(Exception):
    """A message was not taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told: printable text, a line each. link: empty where there is none.

    incident_id: the same whenever the same is sent, so that receivers can tell. anomalies: none
    where it is a run that people are told of; the times are empty then.
    """

    incident_id: str
    title: str
    reason: str
    severity: str
    sources: list[str]
    started_at: str
    ended_at: str
    anomalies: int
    link: str

    @property
    def text(self) -> str:
        lines = [f"{self.severity}: {self.title}", self.reason]
        if self.anomalies:
            lines += [
                f"{self.anomalies:,} anomalies from {self.started_at} to {self.ended_at}",
                self.link or f"incident {self.incident_id}: see `loganalyzer incidents`",
            ]
        return "\n".join(lines)


class Notifier(Protocol):
    """name: of the way, for people. send: raises NotSent."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message) -> None: ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """A POST of JSON with the fields of `Message`, and the id as `Idempotency-Key`."""

    url: str
    name: ClassVar[str] = "webhook"

    def send(self, message: Message) -> None:
        _post(self.url, asdict(message), {"Idempotency-Key": message.incident_id})


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook of Slack. Without its markup, and with the three characters escaped that
    Slack gives a meaning, so that no log mentions `<!channel>`."""

    url: str
    name: ClassVar[str] = "Slack"

    def send(self, message: Message) -> None:
        text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        _post(self.url, {"text": text, "mrkdwn": False}, {})


@dataclass(frozen=True, slots=True)
class Email:
    """A message of plain text to all addresses. password: no login without a user."""

    host: str
    port: int
    sender: str
    recipients: list[str]
    is_tls: bool = False
    user: str = ""
    password: str = ""
    name: ClassVar[str] = "e-mail"

    def send(self, message: Message) -> None:
        email = EmailMessage()
        email["Subject"] = f"[{message.severity}] {message.title}"
        email["From"] = self.sender
        email["To"] = ", ".join(self.recipients)
        email["Message-ID"] = f"<{message.incident_id}@loganalyzer>"
        email.set_content(message.text)
        try:
            with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S) as server:
                if self.is_tls:
                    server.starttls()
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(email)
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error


def configured(settings: Settings) -> list[Notifier]:
    """Those that the settings name."""
    found: list[Notifier] = []
    if url := settings.alert_webhook_url.get_secret_value():
        found.append(Webhook(url))
    if url := settings.alert_slack_url.get_secret_value():
        found.append(Slack(url))
    if recipients := [each.strip() for each in settings.alert_email_to.split(",") if each.strip()]:
        found.append(
            Email(
                settings.alert_smtp_host,
                settings.alert_smtp_port,
                settings.alert_email_from,
                recipients,
                settings.alert_smtp_tls,
                settings.alert_smtp_user,
                settings.alert_smtp_password.get_secret_value(),
            )
        )
    return found


def _post(url: str, document: dict[str, Any], headers: dict[str, str]) -> None:
    try:
        answer = httpx.post(url, json=document, headers=headers, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from error
    if not answer.is_success:
        raise NotSent(f"it answered with HTTP status {answer.status_code}")
