"""Pictures of how a detector did, for MLflow and for `loganalyzer evaluate`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# A template may be a page long.
LONGEST_NAME = 60
BINS = 40
MOST_POINTS = 200


def scores_and_precision(
    title: str, scores: Floats, threshold: float, is_anomalous: Bools
) -> Figure:
    """The scores of normal and anomalous windows with the threshold, and precision against recall
    where any is anomalous. scores, is_anomalous: shape (n,)."""
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    for truth, name in ((False, "normal"), (True, "anomalous")):
        left.hist(scores[is_anomalous == truth], bins=BINS, alpha=0.6, label=name, log=True)
    left.axvline(threshold, color="black", linestyle="--", label="threshold")
    left.set(xlabel="score", ylabel="windows")
    left.legend()
    if is_anomalous.any():
        precision, recall, _ = precision_recall_curve(is_anomalous, scores)
        right.step(recall, precision, where="post")
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.05))
    figure.suptitle(title)
    return figure


def curves(scores: Floats, threshold: float, is_anomalous: Bools) -> dict[str, Any]:
    """The points of the same, for who draws them elsewhere: `edges` of the bins of scores with the
    windows in each, and `recall`, `precision` and `score` from the highest score on, at most
    `MOST_POINTS` of each; empty where nothing is anomalous."""
    edges = np.histogram_bin_edges(scores, bins=BINS)
    points: dict[str, list[float]] = {"recall": [], "precision": [], "score": []}
    if is_anomalous.any():
        precision, recall, at = precision_recall_curve(is_anomalous, scores)
        rows = np.unique(np.linspace(0, len(at) - 1, min(len(at), MOST_POINTS)).round().astype(int))
        for name, values in (("recall", recall), ("precision", precision), ("score", at)):
            points[name] = values[rows[::-1]].tolist()
    return {
        "threshold": threshold,
        "edges": edges.tolist(),
        "normal": np.histogram(scores[~is_anomalous], edges)[0].tolist(),
        "anomalous": np.histogram(scores[is_anomalous], edges)[0].tolist(),
        **points,
    }


def top_templates(names: Sequence[str], counts: Sequence[int], title: str) -> Figure:
    """How often each template occurs, the most frequent on top."""
    figure = Figure(figsize=(10, 1 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in names]
    # Dollars would be taken for mathematics.
    axes.barh(range(len(names)), counts)
    axes.set_yticks(range(len(names)), shown, parse_math=False)
    axes.invert_yaxis()
    axes.set(xlabel="events", title=title, xscale="log")
    return figure


def study_history(values: Sequence[float | None], title: str) -> Figure:
    """The figure of each trial, None for one that has none, and the best so far."""
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    found = np.array([np.nan if value is None else value for value in values])
    numbers = np.arange(len(found))
    axes.plot(numbers, found, "o", label="trial")
    best = np.fmax.accumulate(found) if len(found) else found
    axes.step(numbers, best, where="post", label="best so far")
    axes.set(xlabel="trial", ylabel="figure over the folds", title=title)
    axes.legend()
    return figure
