"""Which detector families there are, by name.

This module imports nothing heavy: DAG files read it for their forms.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.detectors import Detector

FAMILIES = {
    "novelty": "ml.detectors.novelty:Novelty",
    "isolation_forest": "ml.detectors.isolation_forest:IsolationForest",
}


def family(name: str) -> type[Detector]:
    """The class of a family. Raises ValueError that names the families there are."""
    if name not in FAMILIES:
        raise ValueError(f"no detector family {name!r}; there are: {', '.join(FAMILIES)}")
    module, _, class_name = FAMILIES[name].partition(":")
    found: type[Detector] = getattr(import_module(module), class_name)
    return found
