"""Which of the trained candidates judges the coming nights."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained family. `average_precision` is over the held-out part, None where it holds no
    labelled anomaly."""

    family: str
    average_precision: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    chosen: Candidate
    reason: str


def choose(candidates: Sequence[Candidate]) -> Verdict:
    """The candidate with the highest average precision; the earlier one where they are equal.

    Without labels nothing tells them apart, and the first in order is taken. Raises ValueError
    when there is none to choose from.
    """
    if not candidates:
        raise ValueError("there is no candidate to choose from: no family could be trained")
    measured = [c for c in candidates if c.average_precision is not None]
    if not measured:
        first = candidates[0]
        return Verdict(
            first,
            f"{first.family} is taken as the first of the families asked for: no labelled anomaly "
            "in the held-out period tells them apart",
        )
    best = max(measured, key=lambda candidate: candidate.average_precision or 0.0)
    figures = ", ".join(f"{c.family} {c.average_precision:.3f}" for c in measured)
    return Verdict(
        best, f"{best.family} has the highest average precision on the held-out period: {figures}"
    )
