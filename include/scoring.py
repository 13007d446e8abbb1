"""Scoring: the windows that closed in an interval in, anomalies in Postgres out."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from include import tracking
from include.database import anomalies, catalogue, coverage, ledger, shadows
from include.lake.events import read_windows
from include.lake.parts import windows_in_parts
from include.sources import LogSource
from include.workspace import Workspace
from ml import rates
from ml.model import Judgement, Model, judge_without_model, severity_of
from ml.windows import Windows

log = logging.getLogger(__name__)

# Without a model, a night is judged by what came in the days before it.
HISTORY = timedelta(days=30)
# Of a longer window, so much of its sequence is kept.
KEPT_EVENTS = 1000
NO_MODEL = ("novelty without training", "0")


class NoChallenger(Exception):
    """A source has no two models to compare; the message says which is missing."""


def score_night(
    workspace: Workspace, source: str, start: str, end: str, model_version: str | None = None
) -> dict[str, object]:
    """`score_interval` for a task: ISO times in, the counts out."""
    scoring = score_interval(
        workspace,
        workspace.source(source),
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
        model_version,
    )
    counts = {"windows": scoring.windows, "anomalies": scoring.anomalies}
    log.info("%s from %s: %s", source, start, counts)
    return {"source": source, "model_version": scoring.model_version, **counts}


def score_interval(
    workspace: Workspace,
    source: LogSource,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
) -> anomalies.Scoring:
    """Judge the windows that close after `start` and not after `end`, and the rate of the hours
    between; record the anomalies.

    model_version: the champion where not given; any other judges for comparison only, so that the
    night stays as it was judged. Raises tracking.NoSuchVersion where there is none.

    The rows of the interval, model and catalogue are replaced in one transaction; where nothing
    differs, nothing is written.
    """
    with workspace.engine.connect() as conn:
        # Before the windows: what comes in meanwhile belongs to the next scoring.
        version_of_catalogue = catalogue.catalogue_version(conn, source.name)
        lookback = source.windowing.rule.lookback
        seen = coverage.objects_between(conn, source.name, start - lookback, end)
    client = tracking.connect(workspace.settings)
    if model_version is None:
        registered = tracking.champion(client, source.name)
    else:
        registered = tracking.of_version(client, source.name, model_version)
    if registered is None:
        night = _without_model(workspace, source, start, end)
        family, (name, version) = "novelty", NO_MODEL
    else:
        night = _by_model(workspace, source, start, end, registered.model)
        family, name, version = registered.model.family, registered.name, registered.version
    odd = _odd_spans(workspace, source.name, start, end)
    scoring = anomalies.Scoring(
        source=source.name,
        interval_start=start,
        interval_end=end,
        model_name=name,
        model_version=version,
        catalogue_version=version_of_catalogue,
        detector=family,
        windows=night.windows,
        events=night.events,
        anomalies=len(night.rows) + len(odd),
        threshold=night.threshold,
        scored_at=datetime.now(UTC),
        is_comparison=model_version is not None,
    )
    with workspace.engine.begin() as conn:
        anomalies.replace_interval(conn, scoring, night.rows + _rate_rows(odd))
        if model_version is None:
            judged = coverage.Judged(scoring.windows, scoring.anomalies, night.unseen_share, seen)
            coverage.record(conn, source.name, start, end, scoring.scored_at, judged)
    return scoring


@dataclass(frozen=True, slots=True)
class _Night:
    """What was judged of an interval. unseen: events in templates that the model has never seen,
    None without a model."""

    windows: int
    events: int
    unseen: int | None
    threshold: float
    rows: list[anomalies.Anomaly]

    @property
    def unseen_share(self) -> float | None:
        return self.unseen / self.events if self.events and self.unseen is not None else None


def _by_model(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime, model: Model
) -> _Night:
    """Part by part, so that a night of any size fits."""
    windows = events = unseen = 0
    rows = []
    for part in windows_in_parts(workspace, source, start, end):
        rows += window_rows(part, model.judge(part), model.family)
        windows, events = windows + len(part), events + len(part.events)
        unseen += int((~part.events["template_id"].is_in(model.profile.vocabulary)).sum())
    return _Night(windows, events, unseen, model.threshold, rows)


def _without_model(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime
) -> _Night:
    windows = read_windows(workspace, source, start, end)
    history = read_windows(workspace, source, start - HISTORY, start)
    judgement = judge_without_model(history, windows)
    rows = window_rows(windows, judgement, "novelty")
    return _Night(len(windows), len(windows.events), None, judgement.threshold, rows)


def shadow_night(workspace: Workspace, source: str, start: str, end: str) -> dict[str, object]:
    """`shadow_interval` for a task: ISO times in, the counts out. Raises NoChallenger."""
    scoring = shadow_interval(
        workspace,
        workspace.source(source),
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
    )
    counts = {"windows": scoring.windows, "flagged_by_either": scoring.flagged}
    log.info("%s from %s: %s", source, start, counts)
    return {"source": source, "challenger_version": scoring.challenger_version, **counts}


def shadow_interval(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime
) -> shadows.ShadowScoring:
    """Judge the windows that close after `start` and not after `end` by the champion and by the
    challenger, and record those that either flags; `anomalies` is left as it is.

    Raises NoChallenger where there are no two versions.
    """
    champion, challenger = _rivals(workspace, source.name)
    windows = read_windows(workspace, source, start, end)
    judgements = champion.model.judge(windows), challenger.model.judge(windows)
    with workspace.engine.begin() as conn:
        texts = catalogue.template_texts(conn, source.name)
        rows = _shadow_rows(windows, *judgements, texts)
        scoring = shadows.ShadowScoring(
            source=source.name,
            interval_start=start,
            interval_end=end,
            champion_version=champion.version,
            challenger_version=challenger.version,
            windows=len(windows),
            flagged=len(rows),
            scored_at=datetime.now(UTC),
        )
        shadows.replace_interval(conn, scoring, rows)
    return scoring


def _rivals(
    workspace: Workspace, source: str
) -> tuple[tracking.RegisteredModel, tracking.RegisteredModel]:
    client = tracking.connect(workspace.settings)
    challenger = tracking.registered(client, source, tracking.CHALLENGER)
    if challenger is None:
        raise NoChallenger(f"{source} has no challenger: nothing scores beside its champion")
    champion = tracking.champion(client, source)
    if champion is None:
        raise NoChallenger(f"{source} has no champion yet that a challenger could differ from")
    if champion.version == challenger.version:
        raise NoChallenger(
            f"the challenger of {source} is its champion: version {champion.version}"
        )
    return champion, challenger


def _shadow_rows(
    windows: Windows, champion: Judgement, challenger: Judgement, texts: dict[str, str]
) -> list[shadows.ShadowScore]:
    # The champion comes last: where both flag a window, its reason is the one people have read.
    flagged = {each.row: each for judged in (challenger, champion) for each in judged.anomalies}
    rows = []
    for row, found in flagged.items():
        span = windows.spans.row(row, named=True)
        rows.append(
            shadows.ShadowScore(
                window_id=span["window_id"],
                session_key=span["session_key"],
                window_start=span["starts_at"],
                window_end=span["ends_at"],
                champion_score=float(champion.scores[row]),
                champion_threshold=champion.threshold,
                challenger_score=float(challenger.scores[row]),
                challenger_threshold=challenger.threshold,
                reason=found.explanation.reason(lambda template: texts.get(template, template)),
                lines=[asdict(line) for line in found.explanation.lines],
            )
        )
    return rows


def _odd_spans(
    workspace: Workspace, source: str, start: datetime, end: datetime
) -> list[rates.OddSpan]:
    with workspace.engine.connect() as conn:
        volumes = ledger.hourly_volumes(conn, source, start - rates.HISTORY, end)
    return rates.odd_spans(volumes, start, end)


def _rate_rows(odd: list[rates.OddSpan]) -> list[anomalies.Anomaly]:
    return [
        anomalies.Anomaly(
            window_id=f"rate@{span.start:%Y%m%dT%H}",
            session_key=None,
            window_start=span.start,
            window_end=span.end,
            score=span.score,
            threshold=rates.THRESHOLD,
            severity=severity_of(span.score, largest=rates.THRESHOLD),
            reason=span.reason,
            explanation=[{"kind": span.kind, "found": span.found, "expected": span.expected}],
            lines=[],
            events=span.found,
            detector="rate",
            signature=f"rate:{span.kind}",
            sequence=[],
        )
        for span in odd
    ]


def window_rows(windows: Windows, judgement: Judgement, family: str) -> list[anomalies.Anomaly]:
    """The flagged windows as the table of anomalies has them, the oddest first."""
    rows = []
    for found in judgement.anomalies:
        span = windows.spans.row(found.row, named=True)
        rows.append(
            anomalies.Anomaly(
                window_id=span["window_id"],
                session_key=span["session_key"],
                window_start=span["starts_at"],
                window_end=span["ends_at"],
                score=found.score,
                threshold=judgement.threshold,
                severity=found.severity,
                reason=found.explanation.reason(
                    lambda template: windows.texts.get(template, template)
                ),
                explanation=[asdict(finding) for finding in found.explanation.findings],
                lines=[asdict(line) for line in found.explanation.lines],
                events=int(windows.lengths[found.row]),
                detector=family,
                signature=found.explanation.signature,
                sequence=windows.events_of(found.row)["template_id"].head(KEPT_EVENTS).to_list(),
            )
        )
    return rows
