"""Why a window is odd: how it differs from the nearest normal window, in words.

The answer holds for every family, since it compares with what normal looks like and not with the
inside of a detector.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from ml.profile import Floats, NormalProfile
from ml.ranges import WEIGHT_OF_EXCESS
from ml.windows import Windows

Kind = Literal["new", "missing", "more", "fewer", "order", "value", "habit"]

FINDINGS_IN_REASON = 3
LINES_OF_EXPLANATION = 5
TEXT_LENGTH = 80
# What may follow a number in the text of its template.
UNIT = re.compile(
    r" ?(?:[kKMGTP]?i?[bB](?:ytes)?|bytes|[mnuµ]?s|secs?|seconds?|min|h|percent|%)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class OddNumber:
    """A number outside its range, low to high. place: which parameter of the template, from 0."""

    place: int
    number: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OddHabit:
    """What the window's entity (user, host, account) does not, though its peers do: in `seen` of
    its `windows` learnt from, mostly none, there was the template `at_least` so often."""

    entity: str
    windows: int
    seen: int
    at_least: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference from normal. `share` of the whole difference, all findings summing to one.

    kind: `new`, `missing`, `more` or `fewer` by how often a template is expected and found;
        `order`: it is followed by another as never before; `value`: a number in it leaves its
        range, `found` times; `habit`: it is found, or so often, though not from this entity before.
    """

    kind: Kind
    template_id: str
    expected: int
    found: int
    share: float
    followed_by: str | None = None
    value: OddNumber | None = None
    habit: OddHabit | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """The address of a log record: its object and the number of its first line, from one."""

    object_key: str
    line_number: int


@dataclass(frozen=True, slots=True)
class Explanation:
    findings: list[Finding]
    lines: list[Line]

    @property
    def signature(self) -> str:
        """Its kind, the same on every night: what is odd of which templates, as the reason names
        them, such as `missing:ab12|new:cd34`; `rare` where nothing is named."""
        named = [
            f"{finding.kind}:{finding.template_id}"
            + (f">{finding.followed_by}" if finding.followed_by else "")
            for finding in self.findings[:FINDINGS_IN_REASON]
        ]
        return "|".join(sorted(named)) or "rare"

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
    odd_numbers = profile.ranges.odd(windows)
    odd_habits = profile.entities.odd(windows)
    explanations = []
    for row in range(len(windows)):
        expected, found = profile.vectors[nearest[row]], vectors[row]
        odd = odd_numbers.filter(pl.col("window") == row)
        habits = odd_habits.filter(pl.col("window") == row)
        parts = _count_parts(profile, windows, row, expected, found)
        parts += _value_parts(profile, odd) + _habit_parts(profile, habits)
        findings = _shared(parts) or _order_findings(
            profile, unseen.filter(pl.col("window") == row)
        )
        explanations.append(Explanation(findings, _lines(windows, row, findings, odd)))
    return explanations


def _shared(parts: list[tuple[float, Finding]]) -> list[Finding]:
    """Findings with their shares, out of their weights."""
    total = sum(weight for weight, _ in parts)
    # What was never there comes first, whatever its weight: it is what people look for.
    parts.sort(key=lambda part: (part[1].kind != "new", -part[0], part[1].template_id))
    return [replace(finding, share=weight / total) for weight, finding in parts]


def _count_parts(
    profile: NormalProfile, windows: Windows, row: int, expected: np.ndarray, found: np.ndarray
) -> list[tuple[float, Finding]]:
    known = len(profile.vocabulary)
    weights: Floats = np.abs(np.log1p(found) - np.log1p(expected)) * profile.weights
    parts = []
    for column in np.flatnonzero(weights[:known]):
        before, now = int(expected[column]), int(found[column])
        kind: Kind = ("missing" if not now else "fewer") if now < before else "more"
        finding = Finding(kind, profile.vocabulary[column], before, now, 0.0)
        parts.append((float(weights[column]), finding))
    if found[known]:
        events = windows.events_of(row)
        unknown = events.filter(~events["template_id"].is_in(profile.vocabulary))
        # Shared by count, since the distance knows unseen templates as one column only.
        for template_id, count in unknown["template_id"].value_counts().rows():
            share_of_column = float(weights[known]) * count / int(found[known])
            parts.append((share_of_column, Finding("new", template_id, 0, count, 0.0)))
    return parts


def _value_parts(profile: NormalProfile, odd: pl.DataFrame) -> list[tuple[float, Finding]]:
    """odd: the odd numbers of a window; of each place the oddest is told."""
    parts = []
    for (template_id, place), of_place in odd.group_by("template_id", "place"):
        oddest = of_place.sort("excess").row(-1, named=True)
        value = OddNumber(int(place), oddest["number"], oddest["low"], oddest["high"])
        finding = Finding("value", str(template_id), 0, len(of_place), 0.0, value=value)
        parts.append((WEIGHT_OF_EXCESS * oddest["excess"] * profile.weights[-1], finding))
    return parts


def _habit_parts(profile: NormalProfile, odd: pl.DataFrame) -> list[tuple[float, Finding]]:
    """odd: the odd deeds of a window's entity, one a template."""
    parts = []
    for deed in odd.iter_rows(named=True):
        habit = OddHabit(deed["entity"], deed["windows"], deed["seen"], deed["half"])
        finding = Finding("habit", deed["template_id"], 0, deed["count"], 0.0, habit=habit)
        parts.append((WEIGHT_OF_EXCESS * deed["excess"] * profile.weights[-1], finding))
    return parts


def _order_findings(profile: NormalProfile, pairs: pl.DataFrame) -> list[Finding]:
    known = set(profile.vocabulary)
    return [
        Finding("order", first, 0, 1, 1 / len(pairs), followed_by=second)
        for first, second in pairs.sort("first", "second").select("first", "second").rows()
        if first in known and second in known
    ]


def _lines(windows: Windows, row: int, findings: list[Finding], odd: pl.DataFrame) -> list[Line]:
    """Where to look: the events of what was found, else the last ones of the window."""
    events = windows.events_of(row)
    chosen = []
    for finding in findings:
        of_template = pl.col("template_id") == finding.template_id
        if finding.value:
            of_place = odd.filter(of_template & (pl.col("place") == finding.value.place))
            chosen.append(windows.events[of_place.sort("excess")["event"].tail(2)])
        elif finding.found:
            # The last of each finding's events: a repetition is odd at its end, not at its start.
            chosen.append(events.filter(of_template).tail(2))
    picked = [frame for frame in chosen if len(frame)] or [events.tail(LINES_OF_EXPLANATION)]
    addresses = [
        Line(key, number)
        for frame in picked
        for key, number in frame.select("object_key", "line_number").rows()
    ]
    return list(dict.fromkeys(addresses))[:LINES_OF_EXPLANATION]


def _in_words(finding: Finding, text_of: Callable[[str], str]) -> str:
    text = f"“{_shortened(text_of(finding.template_id))}”"
    if finding.value:
        return f"{_value_in_words(finding.value, text_of(finding.template_id))}: {text}"
    if finding.habit:
        return f"{text} {_habit_in_words(finding.habit, finding.found)}"
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
        case _:
            return f"{finding.found} instead of {finding.expected} times: {text}"


def _value_in_words(value: OddNumber, text: str) -> str:
    after = text.split("<*>")[value.place + 1 :]
    unit = UNIT.match(after[0]) if after else None
    number, low, high = (_number_in_words(n) for n in (value.number, value.low, value.high))
    return f"unusual value: {number}{unit[0] if unit else ''} where {low} to {high} is normal"


def _habit_in_words(habit: OddHabit, found: int) -> str:
    seen = f"seen from {habit.entity} in {habit.seen} of {habit.windows:,} windows only"
    if not habit.seen:
        seen = f"never seen from {habit.entity} in {habit.windows:,} windows"
    if habit.at_least == 1:
        return f"was {seen}, though others have it"
    return f"×{found}: {habit.at_least} or more were {seen}, though others have them"


def _number_in_words(number: float) -> str:
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.4g}"


def _shortened(text: str) -> str:
    """The first line, no longer than `TEXT_LENGTH`; an ellipsis where something is left out."""
    head = text.split("\n", 1)[0]
    if head == text and len(text) <= TEXT_LENGTH:
        return text
    return head[: TEXT_LENGTH - 1] + "…"
