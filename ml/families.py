"""Which detector families there are, by name.

This module imports nothing heavy: DAG files read it for their forms.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.detectors import Detector
    from ml.windows import Windows

FAMILIES = {
    "novelty": "ml.detectors.novelty:Novelty",
    "isolation_forest": "ml.detectors.isolation_forest:IsolationForest",
    "one_class_svm": "ml.detectors.one_class_svm:OneClassSvm",
    "lstm": "ml.detectors.lstm:Lstm",
    "bert": "ml.detectors.bert:Bert",
    "ensemble": "ml.detectors.ensemble:Ensemble",
}
# Trained where nobody chooses; the first is taken where no label tells which is best.
DEFAULT_FAMILIES = ("novelty", "ensemble")


def create(name: str, anomalous: int = 0, seed: int = 0, odd: Windows | None = None) -> Detector:
    """A detector of a family that is not fitted yet, with its default settings.

    anomalous: how many of the training windows may be anomalous. seed: of all that is drawn at
    random. odd: known anomalies, none of them among the training windows. Each for the families
    that ask for it.
    """
    detector_class = family(name)
    asked_for = signature(detector_class).parameters
    given: dict[str, Any] = {"anomalous": anomalous, "seed": seed, "odd": odd}
    return detector_class(**{key: given[key] for key in given if key in asked_for})


def family(name: str) -> type[Detector]:
    """The class of a family. Raises ValueError that names the families there are."""
    if name not in FAMILIES:
        raise ValueError(f"no detector family {name!r}; there are: {', '.join(FAMILIES)}")
    module, _, class_name = FAMILIES[name].partition(":")
    found: type[Detector] = getattr(import_module(module), class_name)
    return found
