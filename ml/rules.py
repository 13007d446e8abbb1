"""Plain rules: what a detector must beat to be worth its keep.

Each looks at training windows and gives the later ones a score, without a model, tuning or a
network. A detector that finds no more than the best of them has no business being a champion.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from ml import rates
from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Rule = Callable[[Windows, Windows], Floats]

HOUR = timedelta(hours=1)


def new_template(train: Windows, windows: Windows) -> Floats:
    """How many events of a window are of templates that training never showed."""
    known = train.events["template_id"].unique()
    is_new = ~windows.events["template_id"].is_in(known.implode())
    found = np.bincount(windows.rows_of_events, weights=is_new.to_numpy(), minlength=len(windows))
    return found.astype(np.float64)


def length(train: Windows, windows: Windows) -> Floats:
    """How far the logarithm of a window's length lies from the mean, in standard deviations."""
    usual = np.log1p(train.lengths)
    scores: Floats = np.abs(np.log1p(windows.lengths) - usual.mean()) / (usual.std() or 1.0)
    return scores


def unseen_count_vector(train: Windows, windows: Windows) -> Floats:
    """1 where no training window holds each template equally often, else 0."""
    known = {_counts(sequence) for sequence in train.sequences()}
    return np.array([_counts(sequence) not in known for sequence in windows.sequences()], float)


def seasonal_rate(train: Windows, windows: Windows) -> Floats:
    """How odd the number of events is in the hour a window starts in (`ml.rates`); 0 for windows
    without times."""
    scores = np.zeros(len(windows))
    if "starts_at" not in windows.spans.columns or not len(windows):
        return scores
    hours = pl.concat([windows.spans[name] for name in ("starts_at", "ends_at")]).dt.truncate("1h")
    times = pl.concat([part.events["event_time"] for part in (train, windows)]).dt.truncate("1h")
    volumes = dict(times.value_counts().rows())
    for span in rates.odd_spans(volumes, hours.min(), hours.max() + HOUR):  # type: ignore[arg-type, operator]
        inside = windows.spans["starts_at"].is_between(span.start, span.end, closed="left")
        scores[inside.to_numpy()] = span.score
    return scores


RULES: dict[str, Rule] = {
    "new template": new_template,
    "length": length,
    "unseen count vector": unseen_count_vector,
    "seasonal rate": seasonal_rate,
}


def _counts(sequence: tuple[str, ...]) -> frozenset[tuple[str, int]]:
    return frozenset(Counter(sequence).items())
