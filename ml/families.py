"""Which detector families there are, by name.

This module imports nothing heavy: DAG files read it for their forms.
"""

from __future__ import annotations

from collections.abc import Mapping
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
# Tuned and trained where nobody chooses.
DEFAULT_FAMILIES = ("novelty", "ensemble")


def create(
    name: str,
    anomalous: int = 0,
    seed: int = 0,
    odd: Windows | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Detector:
    """A detector of a family that is not fitted yet.

    anomalous: how many of the training windows may be anomalous. seed: of all that is drawn at
    random. odd: known anomalies, none of them among the training windows. Each for the families
    that ask for it. parameters: values for some of the family's `SEARCH_SPACE`, its defaults for
    the others.
    """
    given: dict[str, Any] = {"anomalous": anomalous, "seed": seed, "odd": odd}
    chosen = {key: value for key, value in given.items() if takes(name, key)}
    return family(name)(**chosen, **(parameters or {}))


def takes(name: str, parameter: str) -> bool:
    """Whether the detectors of a family ask for a parameter."""
    return parameter in signature(family(name)).parameters


def default_parameters(name: str) -> dict[str, Any]:
    """What the parameters of a family's `SEARCH_SPACE` are when nobody tunes them."""
    detector_class = family(name)
    defaults = signature(detector_class).parameters
    return {key: defaults[key].default for key in detector_class.SEARCH_SPACE}


def family(name: str) -> type[Detector]:
    """The class of a family. Raises ValueError that names the families there are."""
    if name not in FAMILIES:
        raise ValueError(f"no detector family {name!r}; there are: {', '.join(FAMILIES)}")
    module, _, class_name = FAMILIES[name].partition(":")
    found: type[Detector] = getattr(import_module(module), class_name)
    return found
