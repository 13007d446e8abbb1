"""Monitoring: one source and UTC day in, its measures beside their bounds out.

Where do I go to…
- change how drift is measured? `ml/drift.py`.
- change from when on a measure is worth a word, or a retrain? The bounds below.
- see what was measured? The table `loganalyzer.monitoring`.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import TypedDict

from include import tracking
from include.alerting import tell_of_budget
from include.database import ledger, monitoring
from include.database.monitoring import Measurement
from include.intervals import DAY, LOOK_BACK, midnight
from include.lake.events import read_windows
from include.sources import LogSource
from include.tracking import RegisteredModel
from include.workspace import Workspace
from ml.drift import Drift, score_drift, share_by_chance, template_drifts

log = logging.getLogger(__name__)

# To a model all templates that it never learnt are alike. On quiet days of the sample logs they
# are three events in ten thousand at most, on a day with five incidents fourteen.
UNSEEN_TEMPLATES = 0.01
# As where a fifth of the events are of other templates. Quiet days of the sample logs are at 0.002,
# a day with five incidents at 0.04.
TEMPLATE_DRIFT = 0.1
# The custom of scorecards; reached when nearly three windows in ten score as one in ten used to.
SCORE_DRIFT = 0.25
# Training looks back so far: of what an older champion learnt it would learn nothing today.
CHAMPION_AGE_DAYS = LOOK_BACK / DAY
# When every other alert is false, people stop to read them.
FALSE_ALERTS = 0.5
# On one night of a week something may have happened; on all of them the threshold is wrong.
ALERTS_OF_PROMISED = 3.0
NIGHTS_OF_ALERTS = 7
ALERT_BUDGET = "alert_budget"
# Sundays may hold a third of a working day; what is beyond is worth a word.
VOLUME_FACTOR = 3.0
# Sound formats leave a few lines in ten thousand; one in a hundred is something new.
PARSE_FAILURES = 0.01

# The usual volume rests on so many days at least, and on so many events a day: fewer vary by
# as much as the bound of themselves.
LEAST_DAYS = 3
LEAST_EVENTS = 20

# Past these a retrain is asked for. It can mend neither logs that do not come nor a format.
MENDED_BY_TRAINING = (
    "unseen_templates",
    "template_drift",
    "score_drift",
    "champion_age",
    "false_alerts",
)
# A run that is later than this is a rerun or a backfill.
ON_TIME = timedelta(hours=1)


class Finding(TypedDict):
    """reason: which measures a retrain can mend are past their bounds, in words; or None."""

    source: str
    day: str
    reason: str | None


class Request(TypedDict):
    """A request for a retrain: all texts, times in ISO format."""

    source: str
    day: str
    reason: str
    asked_at: str


def monitor_day(workspace: Workspace, source: str, day: str) -> Finding:
    """Measure a source's UTC day and record it. Where nothing differs, nothing is written.

    People are told where the threshold does not keep its promise, once for a day. Raises
    AlertsFailed where nobody could be told: nothing is recorded then, and the next try tells.
    """
    moment = date.fromisoformat(day)
    measured = measure_day(workspace, workspace.source(source), moment)
    with workspace.engine.begin() as conn:
        known = monitoring.past_measures(conn, source, moment)
        monitoring.replace_day(conn, source, moment, measured)
        for each in measured:
            if each.is_past and each.measure == ALERT_BUDGET and ALERT_BUDGET not in known:
                tell_of_budget(workspace, source, moment, each.reason)
    for each in measured:
        log.log(logging.WARNING if each.is_past else logging.INFO, "%s: %s", source, each.reason)
    reasons = [
        each.reason for each in measured if each.is_past and each.measure in MENDED_BY_TRAINING
    ]
    return Finding(source=source, day=day, reason="; ".join(reasons) or None)


def request_for(
    workspace: Workspace, source: str, day: str, reason: str, moment: datetime
) -> Request | None:
    """A request to retrain a source; None where one was made in the 24 hours before.

    moment: the time that the run was planned for. It counts as the time of the request, so that
    nightly runs are a day apart however long their steps take; a late run counts as of now.
    """
    now = datetime.now(UTC)
    asked_at = moment if abs(now - moment) < ON_TIME else now
    with workspace.engine.connect() as conn:
        if monitoring.is_asked(conn, source, asked_at, within=DAY):
            return None
    return Request(source=source, day=day, reason=reason, asked_at=asked_at.isoformat())


def record_requests(workspace: Workspace, requests: list[Request]) -> None:
    """Record requests that were made; those that are recorded stay as they are."""
    with workspace.engine.begin() as conn:
        for each in requests:
            monitoring.record_request(
                conn,
                each["source"],
                datetime.fromisoformat(each["asked_at"]),
                date.fromisoformat(each["day"]),
                each["reason"],
            )


def measure_day(workspace: Workspace, source: LogSource, day: date) -> list[Measurement]:
    """The measures of a source's day; those of the champion only where there is one, and those of
    windows only where any closed."""
    of_day = _Day(workspace, source, day)
    rows = [_volume(of_day), _parse_failures(of_day)]
    champion = tracking.champion(tracking.connect(workspace.settings), source.name)
    if champion is not None:
        rows += [_champion_age(of_day, champion), _false_alerts(of_day, champion)]
        rows.append(_alert_budget(of_day, champion))
        rows += _drifts(of_day, champion)
    return rows


@dataclass(frozen=True, slots=True)
class _Day:
    """start <= t < end, in UTC, of one source."""

    workspace: Workspace
    source: LogSource
    day: date

    @property
    def start(self) -> datetime:
        return midnight(self.day)

    @property
    def end(self) -> datetime:
        return self.start + DAY

    def row(
        self,
        measure: str,
        value: float | None,
        bound: float,
        rests_on: int | None,
        reason: str,
        version: str | None = None,
    ) -> Measurement:
        is_past = value is not None and value > bound
        return Measurement(
            self.source.name, self.day, measure, value, bound, is_past, version, rests_on, reason
        )


def _drifts(day: _Day, champion: RegisteredModel) -> list[Measurement]:
    windows = read_windows(day.workspace, day.source, day.start, day.end)
    if not len(windows):
        return []
    unseen, templates = template_drifts(champion.model.profile, windows)
    scores = score_drift(champion.model, windows)
    version, events = champion.version, len(windows.events)

    def row(measure: str, drift: Drift, bound: float, rests_on: int, reason: str) -> Measurement:
        widened = max(bound, drift.by_chance)
        return day.row(measure, drift.value, widened, rests_on, reason, version)

    learnt = f"what version {version} learnt"
    return [
        row(
            "unseen_templates",
            unseen,
            UNSEEN_TEMPLATES,
            events,
            f"{unseen.value:.2%} of {events:,} events are in templates that are not of {learnt}",
        ),
        row(
            "template_drift",
            templates,
            TEMPLATE_DRIFT,
            len(windows),
            f"the templates of {len(windows):,} windows are {templates.value:.3f} from {learnt} "
            "(Jensen-Shannon)",
        ),
        row(
            "score_drift",
            scores,
            SCORE_DRIFT,
            len(windows),
            f"the scores of {len(windows):,} windows are {scores.value:.3f} above {learnt} "
            "(population stability index)",
        ),
    ]


def _champion_age(day: _Day, champion: RegisteredModel) -> Measurement:
    client = tracking.connect(day.workspace.settings)
    age = day.end - tracking.registered_at(client, day.source.name, champion.version)
    days = max(age / DAY, 0.0)
    reason = f"version {champion.version} was registered {days:.1f} days before"
    return day.row("champion_age", days, CHAMPION_AGE_DAYS, None, reason, champion.version)


def _false_alerts(day: _Day, champion: RegisteredModel) -> Measurement:
    model = (champion.name, champion.version)
    with day.workspace.engine.connect() as conn:
        judged, normal = monitoring.judged_alerts(
            conn, day.source.name, *model, day.end - LOOK_BACK, day.end
        )
    value, bound = None, FALSE_ALERTS
    if judged:
        value, bound = normal / judged, share_by_chance(FALSE_ALERTS, judged)
    reason = f"{normal:,} of {judged:,} alerts that people judged are normal"
    return day.row("false_alerts", value, bound, judged, reason, champion.version)


def _alert_budget(day: _Day, champion: RegisteredModel) -> Measurement:
    """Windows that were flagged in the week before, beside how many its threshold promised."""
    since = day.end - NIGHTS_OF_ALERTS * DAY
    model = (champion.name, champion.version)
    with day.workspace.engine.connect() as conn:
        windows, kept, promised = monitoring.alerts_kept(
            conn, day.source.name, *model, since, day.end
        )
    value, bound = None, ALERTS_OF_PROMISED
    if windows:
        value = kept / promised
        most = min(1.0, ALERTS_OF_PROMISED * promised / windows)
        bound = share_by_chance(most, windows) * windows / promised
    reason = (
        f"{kept:,} of {windows:,} windows were flagged in {NIGHTS_OF_ALERTS} nights, where the "
        f"threshold promised {promised:.1f}"
    )
    return day.row(ALERT_BUDGET, value, bound, windows, reason, champion.version)


def _volume(day: _Day) -> Measurement:
    """Told where the day holds far more events than usual or far fewer."""
    with day.workspace.engine.connect() as conn:
        hours = ledger.hourly_volumes(conn, day.source.name, day.start - LOOK_BACK, day.end)
    volumes: Counter[date] = Counter()
    for hour, events in hours.items():
        volumes[hour.date()] += events
    since = (day.day - min(volumes, default=day.day)).days
    earlier = [volumes[day.day - n * DAY] for n in range(1, since + 1)]
    usual = median(earlier) if len(earlier) >= LEAST_DAYS else 0.0
    events = volumes[day.day]
    if usual < LEAST_EVENTS:
        reason = f"{events:,} events; too little came before to compare with"
        return day.row("volume", None, VOLUME_FACTOR, events, reason)
    ratio = events / usual
    row = day.row(
        "volume", ratio, VOLUME_FACTOR, events, f"{events:,} events, usually {usual:,.0f}"
    )
    return replace(row, is_past=row.is_past or ratio < 1 / VOLUME_FACTOR)


def _parse_failures(day: _Day) -> Measurement:
    with day.workspace.engine.connect() as conn:
        read, quarantined = monitoring.lines_of(conn, day.source.name, day.start, day.end)
    value, bound = None, PARSE_FAILURES
    if read:
        value, bound = quarantined / read, share_by_chance(PARSE_FAILURES, read)
    reason = f"{quarantined:,} of {read:,} lines did not parse"
    return day.row("parse_failures", value, bound, read, reason)
