"""Scoring: the windows that closed in an interval in, anomalies in Postgres out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from include import tracking
from include.database import anomalies, catalogue, ledger
from include.lake.events import read_windows
from include.sources import LogSource
from include.workspace import Workspace
from ml import rates
from ml.model import Judgement, judge_without_model, severity_of
from ml.windows import Windows

log = logging.getLogger(__name__)

# Without a model, a night is judged by what came in the days before it.
HISTORY = timedelta(days=30)
NO_MODEL = ("novelty without training", "0")


def score_night(workspace: Workspace, source: str, start: str, end: str) -> dict[str, object]:
    """`score_interval` for a task: ISO times in, the counts out."""
    scoring = score_interval(
        workspace,
        workspace.source(source),
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
    )
    counts = {"windows": scoring.windows, "anomalies": scoring.anomalies}
    log.info("%s from %s: %s", source, start, counts)
    return {"source": source, "model_version": scoring.model_version, **counts}


def score_interval(
    workspace: Workspace, source: LogSource, start: datetime, end: datetime
) -> anomalies.Scoring:
    """Judge the windows that close after `start` and not after `end`, and the rate of the hours
    between; record the anomalies.

    The rows of the interval and model are replaced in one transaction; where nothing differs,
    nothing is written.
    """
    registered = tracking.champion(tracking.connect(workspace.settings), source.name)
    windows = read_windows(workspace, source, start, end)
    if registered is None:
        history = read_windows(workspace, source, start - HISTORY, start)
        judgement, family = judge_without_model(history, windows), "novelty"
        name, version = NO_MODEL
    else:
        judgement, family = registered.model.judge(windows), registered.model.family
        name, version = registered.name, registered.version
    odd = _odd_spans(workspace, source.name, start, end)
    scoring = anomalies.Scoring(
        source=source.name,
        interval_start=start,
        interval_end=end,
        model_name=name,
        model_version=version,
        detector=family,
        windows=len(windows),
        events=len(windows.events),
        anomalies=len(judgement.anomalies) + len(odd),
        threshold=judgement.threshold,
        scored_at=datetime.now(UTC),
    )
    with workspace.engine.begin() as conn:
        texts = catalogue.template_texts(conn, source.name)
        rows = _window_rows(windows, judgement, texts, family) + _rate_rows(odd)
        anomalies.replace_interval(conn, scoring, rows)
    return scoring


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
        )
        for span in odd
    ]


def _window_rows(
    windows: Windows, judgement: Judgement, texts: dict[str, str], family: str
) -> list[anomalies.Anomaly]:
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
                reason=found.explanation.reason(lambda template: texts.get(template, template)),
                explanation=[asdict(finding) for finding in found.explanation.findings],
                lines=[asdict(line) for line in found.explanation.lines],
                events=int(windows.lengths[found.row]),
                detector=family,
            )
        )
    return rows
