"""Which detector families there are, by name.

This module imports nothing heavy: DAG files read it for their forms.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.detectors import Detector

FAMILIES = {
    "novelty": "ml.detectors.novelty:Novelty",
    "isolation_forest": "ml.detectors.isolation_forest:IsolationForest",
}


def create(name: str, anomalous: int) -> Detector:
    """A detector of a family that is not fitted yet, with its default settings.

    anomalous: how many of the training windows may be anomalous, for the families that ask for it.
    """
    detector_class = family(name)
    if "anomalous" in signature(detector_class).parameters:
        return detector_class(anomalous=anomalous)  # type: ignore[call-arg]
    return detector_class()


def family(name: str) -> type[Detector]:
    """The class of a family. Raises ValueError that names the families there are."""
    if name not in FAMILIES:
        raise ValueError(f"no detector family {name!r}; there are: {', '.join(FAMILIES)}")
    module, _, class_name = FAMILIES[name].partition(":")
    found: type[Detector] = getattr(import_module(module), class_name)
    return found
