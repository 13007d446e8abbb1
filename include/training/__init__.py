"""Training: the windows of a period in, a candidate in MLflow out, and the choice among them."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypedDict

import numpy as np

from include import tracking
from include.database import labels
from include.lake.events import windows_within
from include.sources import LogSource
from include.workspace import Workspace
from ml import promotion
from ml.evaluation import Figures, evaluate
from ml.labels import anomalous_windows
from ml.model import CONTAMINATION, Model
from ml.splits import TimeSplit, split_by_share
from ml.windows import Windows

log = logging.getLogger(__name__)

# The later fifth of the period is held out to measure the candidate, then learnt from too.
TRAIN_SHARE = 0.8
EXAMPLE_WINDOWS = 3


class TrainedCandidate(TypedDict):
    """What a training task hands on: the MLflow run and the figure to choose by."""

    source: str
    family: str
    run_id: str
    average_precision: float | None


class Promotion(TypedDict):
    source: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Period:
    """start <= event time < end, in UTC; nothing later than `known_until` is looked at."""

    start: datetime
    end: datetime
    known_until: datetime


def train_candidate(
    workspace: Workspace, source: str, family: str, start: str, end: str, known_until: str
) -> TrainedCandidate:
    """Train one family on one source over a period of ISO times; record it as an MLflow run.

    The run is named by its inputs, so that training again on the same windows and labels finds
    the run that is there. Raises TooFewWindows where there is too little to learn from.
    """
    log_source = workspace.source(source)
    period = Period(*(datetime.fromisoformat(time) for time in (start, end, known_until)))
    windows = windows_within(workspace, log_source, period.start, period.end, period.known_until)
    with workspace.engine.connect() as conn:
        known_labels = labels.labels_of(conn, source)
    is_anomalous = anomalous_windows(windows, known_labels)
    inputs = _fingerprint(log_source, family, windows, is_anomalous)
    client = tracking.connect(workspace.settings)
    run = tracking.find_run(client, source, inputs)
    if run is None:
        figures, split = _held_out_figures(family, windows, is_anomalous)
        model = _trained(family, windows, is_anomalous)
        with tracking.candidate_run(client, source, family, inputs) as run:
            tracking.log_candidate(
                model,
                windows.take(np.arange(EXAMPLE_WINDOWS)),
                _parameters(log_source, family, period, windows, is_anomalous, split),
                {**figures.as_metrics(), "threshold": model.threshold},
            )
        average_precision = figures.average_precision
    else:
        average_precision = run.data.metrics.get("average_precision")
    return TrainedCandidate(
        source=source,
        family=family,
        run_id=run.info.run_id,
        average_precision=average_precision,
    )


def promote_best(workspace: Workspace, candidates: list[TrainedCandidate]) -> list[Promotion]:
    """Make the best candidate of each source its champion."""
    client = tracking.connect(workspace.settings)
    by_source: dict[str, list[TrainedCandidate]] = defaultdict(list)
    for each in candidates:
        by_source[each["source"]].append(each)
    promotions = []
    for source, rivals in by_source.items():
        verdict = promotion.choose(
            [promotion.Candidate(each["family"], each["average_precision"]) for each in rivals]
        )
        run_id = next(e["run_id"] for e in rivals if e["family"] == verdict.chosen.family)
        version = tracking.promote(client, source, run_id, verdict.reason)
        log.info("%s: version %s is the champion: %s", source, version, verdict.reason)
        promotions.append(Promotion(source=source, version=version, reason=verdict.reason))
    return promotions


def _held_out_figures(
    family: str, windows: Windows, is_anomalous: np.ndarray
) -> tuple[Figures, TimeSplit]:
    split = split_by_share(windows, TRAIN_SHARE)
    key = windows.spans["window_id"]
    anomalous_ids = set(key.filter(is_anomalous))

    def known(part: Windows) -> np.ndarray:
        return np.array([window in anomalous_ids for window in part.spans["window_id"]], dtype=bool)

    model = _trained(family, split.train, known(split.train))
    return evaluate(model.score(split.test), model.threshold, known(split.test)), split


def _trained(family: str, windows: Windows, is_anomalous: np.ndarray) -> Model:
    """Where somebody has found anomalies, what is left counts as normal."""
    contamination = 0.0 if is_anomalous.any() else CONTAMINATION
    odd = windows.where(is_anomalous)
    return Model.train(family, windows.where(~is_anomalous), contamination, odd=odd)


def _parameters(
    source: LogSource,
    family: str,
    period: Period,
    windows: Windows,
    is_anomalous: np.ndarray,
    split: TimeSplit,
) -> dict[str, str]:
    return {
        "source": source.name,
        "family": family,
        "period_start": period.start.isoformat(),
        "period_end": period.end.isoformat(),
        "windows": str(len(windows)),
        "windows_labelled_anomalous": str(int(is_anomalous.sum())),
        "events": str(len(windows.events)),
        "templates": str(windows.events["template_id"].n_unique()),
        "windowing": source.windowing.model_dump_json(),
        "held_out_from": split.cut.isoformat(),
        "embargoed_windows": str(split.embargoed),
    }


def _fingerprint(source: LogSource, family: str, windows: Windows, is_anomalous: np.ndarray) -> str:
    """The same for the same windows, events and labels, whatever the run."""
    digest = sha256(json.dumps([family, source.windowing.model_dump_json()]).encode())
    for part in (windows.spans["window_id"], windows.events["template_id"]):
        digest.update(part.hash(seed=0).to_numpy().tobytes())
    digest.update(windows.offsets.tobytes() + is_anomalous.tobytes())
    return digest.hexdigest()[:32]
