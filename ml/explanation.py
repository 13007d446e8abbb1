"""Why a window is odd: how it differs from the nearest normal window, in words.

The answer holds for every family, since it compares with what normal looks like and not with the
inside of a detector.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.profile import Floats, NormalProfile
from ml.windows import Windows

Kind = Literal["new", "missing", "more", "fewer", "order"]

FINDINGS_IN_REASON = 3
LINES_OF_EXPLANATION = 5
TEXT_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference from normal. `share` of the whole difference, all findings summing to one."""

    kind: Kind
    template_id: str
    expected: int
    found: int
    share: float
    followed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """The address of a log record: its object and the number of its first line, from one."""

    object_key: str
    line_number: int


@dataclass(frozen=True, slots=True)
class Explanation:
    findings: list[Finding]
    lines: list[Line]

    def reason(self, text_of: Callable[[str], str]) -> str:
        """A sentence; `text_of` gives the text of a template id."""
        if not self.findings:
            return "the same templates as normal windows, but rarely in these counts"
        return "; ".join(
            _in_words(finding, text_of) for finding in self.findings[:FINDINGS_IN_REASON]
        )


def explain(profile: NormalProfile, windows: Windows) -> list[Explanation]:
    """One explanation a window, the most telling findings first."""
    if not len(windows):
        return []
    vectors = windows.count_vectors(profile.vocabulary).toarray()
    _, nearest = profile.nearest(vectors)
    unseen = profile.unseen_pairs(windows)
    known = set(profile.vocabulary)
    explanations = []
    for row in range(len(windows)):
        expected, found = profile.vectors[nearest[row]], vectors[row]
        findings = _count_findings(profile, windows, row, expected, found)
        if not findings:
            pairs = unseen.filter(unseen["window"] == row)
            findings = [
                Finding("order", first, 0, 1, 1 / len(pairs), followed_by=second)
                for first, second in pairs.sort("first", "second").select("first", "second").rows()
                if first in known and second in known
            ]
        explanations.append(Explanation(findings, _lines(windows, row, findings)))
    return explanations


def _count_findings(
    profile: NormalProfile, windows: Windows, row: int, expected: np.ndarray, found: np.ndarray
) -> list[Finding]:
    known = len(profile.vocabulary)
    weights: Floats = np.abs(np.log1p(found) - np.log1p(expected)) * profile.weights
    parts: list[tuple[float, Kind, str, int, int]] = []
    for column in np.flatnonzero(weights[:known]):
        before, now = int(expected[column]), int(found[column])
        kind: Kind = ("missing" if not now else "fewer") if now < before else "more"
        parts.append((float(weights[column]), kind, profile.vocabulary[column], before, now))
    if found[known]:
        events = windows.events_of(row)
        unknown = events.filter(~events["template_id"].is_in(profile.vocabulary))
        # Shared by count, since the distance knows unseen templates as one column only.
        for template_id, count in unknown["template_id"].value_counts().rows():
            share_of_column = float(weights[known]) * count / int(found[known])
            parts.append((share_of_column, "new", template_id, 0, count))
    total = sum(weight for weight, *_ in parts)
    # What was never there comes first, whatever its weight: it is what people look for.
    parts.sort(key=lambda part: (part[1] != "new", -part[0], part[2]))
    return [
        Finding(kind, template_id, before, now, weight / total)
        for weight, kind, template_id, before, now in parts
    ]


def _lines(windows: Windows, row: int, findings: list[Finding]) -> list[Line]:
    """Where to look: the events of what was found, else the last ones of the window."""
    events = windows.events_of(row)
    told = [finding.template_id for finding in findings if finding.found]
    # The last of each finding's events: a repetition is odd at its end, not at its start.
    chosen = [events.filter(events["template_id"] == template_id).tail(2) for template_id in told]
    picked = [frame for frame in chosen if len(frame)] or [events.tail(LINES_OF_EXPLANATION)]
    addresses = [
        Line(key, number)
        for frame in picked
        for key, number in frame.select("object_key", "line_number").rows()
    ]
    return addresses[:LINES_OF_EXPLANATION]


def _in_words(finding: Finding, text_of: Callable[[str], str]) -> str:
    text = f"“{_shortened(text_of(finding.template_id))}”"
    match finding.kind:
        case "new":
            return f"never seen before: {text}" + (
                f" ×{finding.found}" if finding.found > 1 else ""
            )
        case "missing":
            return f"missing: {text}" + (f" ×{finding.expected}" if finding.expected > 1 else "")
        case "order":
            after = _shortened(text_of(finding.followed_by or ""))
            return f"out of order: {text} directly followed by “{after}”"
        case "more" | "fewer":
            return f"{finding.found} instead of {finding.expected} times: {text}"


def _shortened(text: str) -> str:
    """The first line, no longer than `TEXT_LENGTH`; an ellipsis where something is left out."""
    head = text.split("\n", 1)[0]
    if head == text and len(text) <= TEXT_LENGTH:
        return text
    return head[: TEXT_LENGTH - 1] + "…"
