"""Alerting: people are told of an incident once, and what could not be sent is sent later."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Any

from include.database import incidents
from include.notifiers import Message, Notifier, NotSent, configured
from include.settings import Settings
from include.workspace import Workspace

log = logging.getLogger(__name__)


class AlertsFailed(Exception):
    """Some messages were not taken; the message says of which incidents, on which way and why."""


def send_alerts(workspace: Workspace) -> dict[str, int]:
    """Send one message for each incident that may go on and that people were not told of, the worst
    first; how many were sent.

    An incident is claimed, sent and recorded in one transaction, so that two at once never send the
    same. It counts as told where any notifier took it. Where none did, the incident stays as it
    was, for the next run, and the others are sent. Raises AlertsFailed at the end, where a notifier
    did not take a message. Without a notifier nothing is claimed.
    """
    notifiers = configured(workspace.settings)
    if not notifiers:
        log.info("nobody is told: no LOGANALYZER_ALERT_… setting names a way")
        return {"sent": 0}
    tried: list[str] = []
    failures: list[str] = []
    sent = 0
    while True:
        # Left without a commit, the claim is given back.
        with workspace.engine.connect() as conn:
            row = incidents.claim(conn, tried)
            if row is None:
                break
            tried.append(row["incident_id"])
            failed = _send(notifiers, _message(row, workspace.settings))
            failures += failed
            if len(failed) < len(notifiers):
                conn.commit()
                sent += 1
    log.info("%d of %d incidents are sent", sent, len(tried))
    if failures:
        raise AlertsFailed("; ".join(failures))
    return {"sent": sent}


def tell_of_delay(workspace: Workspace, dag_id: str, run_id: str, by: str) -> None:
    """Tell people that a run has not ended by a time of day. Raises AlertsFailed where a notifier
    did not take the message."""
    title = f"{dag_id} has not ended by {by}"
    log.error("%s: run %s", title, run_id)
    reason = "what it has scored is there; `loganalyzer coverage` says what is missing"
    _tell(workspace, f"late-{run_id}", title, reason, [])


def tell_of_budget(workspace: Workspace, source: str, day: date, reason: str) -> None:
    """Tell people that far more is flagged than a threshold promised. Raises AlertsFailed where a
    notifier did not take the message."""
    title = f"{source}: more alerts than its threshold promises"
    _tell(workspace, f"budget-{source}-{day}", title, reason, [source])


def _tell(workspace: Workspace, what: str, title: str, reason: str, sources: list[str]) -> None:
    """Of something that is no incident. what: the same for the same, so that receivers can tell."""
    kind, _, _ = what.partition("-")
    message = Message(
        incident_id=f"{kind}-{sha256(what.encode()).hexdigest()[:16]}",
        title=title,
        reason=reason,
        severity="high",
        sources=sources,
        started_at="",
        ended_at="",
        anomalies=0,
        link="",
    )
    failed = _send(configured(workspace.settings), message)
    if failed:
        raise AlertsFailed("; ".join(failed))


def _send(notifiers: Sequence[Notifier], message: Message) -> list[str]:
    """What was not taken, and why."""
    failed = []
    for notifier in notifiers:
        try:
            notifier.send(message)
        except NotSent as error:
            failed.append(f"incident {message.incident_id} by {notifier.name}: {error}")
    return failed


def _message(row: Mapping[str, Any], settings: Settings) -> Message:
    return Message(
        incident_id=row["incident_id"],
        title=_plain(row["title"]),
        reason=_plain(row["reason"]),
        severity=row["severity"],
        sources=row["sources"],
        started_at=f"{row['started_at']:%Y-%m-%d %H:%M} UTC",
        ended_at=f"{row['ended_at']:%Y-%m-%d %H:%M} UTC",
        anomalies=row["anomalies"],
        link=settings.alert_link.replace("{id}", row["incident_id"]),
    )


def _plain(text: str) -> str:
    """One line: what would break it, steer a terminal or turn the order of letters, as escapes."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
