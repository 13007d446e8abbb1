"""Why a window is odd: how it differs from the nearest normal window, in words.

The answer holds for every family: differences are those from what normal looks like, and what each
is worth, the detector itself says of the window without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from ml.mending import Mender
from ml.profile import Floats, Ints, NormalProfile
from ml.ranges import WEIGHT_OF_EXCESS
from ml.windows import Windows

Score = Callable[[Windows], Floats]
Kind = Literal["new", "missing", "more", "fewer", "order", "value", "habit"]

FINDINGS_IN_REASON = 3
# Named beside the first is what has a tenth of its share: signatures should not hang on trifles.
LEAST_SHARE_OF_FIRST = 0.1
LINES_OF_EXPLANATION = 5
# Differences of a window that are left out in turn, and pairs out of order besides: what each
# costs is one window more to score. They are chosen window by window, so that what else is scored
# with it changes no explanation.
MOST_TRIED = 8
MOST_ORDERS_TRIED = 4
FALL_DIGITS = 4
# Events scored at a time: bounds memory.
BLOCK_EVENTS = 1_000_000
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
    """One difference from normal. `share` of the window's score, all findings summing to one.

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


@dataclass(slots=True)
class Cause:
    """What may be odd about a window, mended as one; mostly one finding.

    weight: by the profile. findings: their shares are of the cause. is_tried: whether it is left
        out to see by how much the score falls, `fall`.
    """

    weight: float
    findings: list[Finding]
    is_tried: bool = False
    fall: float = 0.0


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
    def named(self) -> list[Finding]:
        """Those that the reason names: a few, none that says far less than the first."""
        return [
            finding
            for finding in self.findings[:FINDINGS_IN_REASON]
            if finding.share >= LEAST_SHARE_OF_FIRST * self.findings[0].share
        ]

    @property
    def signature(self) -> str:
        """Its kind, the same on every night: what is odd of which templates, as the reason names
        them, such as `missing:ab12|new:cd34`; `rare` where nothing is named."""
        named = [
            f"{finding.kind}:{finding.template_id}"
            + (f">{finding.followed_by}" if finding.followed_by else "")
            for finding in self.named
        ]
        return "|".join(sorted(named)) or "rare"

    def reason(self, text_of: Callable[[str], str]) -> str:
        """A sentence; `text_of` gives the text of a template id."""
        if not self.findings:
            return "the same templates as normal windows, but rarely in these counts"
        return "; ".join(_in_words(finding, text_of) for finding in self.named)


def explain(profile: NormalProfile, windows: Windows, score: Score) -> list[Explanation]:
    """One explanation a window, the most telling findings first.

    How a window differs from the nearest normal one is found by the profile; how much of its score
    each difference makes, by leaving it out: the window is scored again with this difference
    mended (`Mender`), and the fall of the score, none below zero, is its share. All that is new is
    mended together, as most detectors see unseen templates as one, and shares by count. Only the
    heaviest differences are tried, by the profile's weights; the others have no share.

    Where no fall is found, the profile's weights are the shares: a forest, for one, may see what
    two differences make and miss neither.

    score: of the detector that found the windows odd, shape (n,) for n windows; zero is not odd.
    """
    if not len(windows):
        return []
    rows, place = _distinct(profile, windows)
    events = int(windows.lengths[rows].sum()) * MOST_TRIED
    findings = [
        found
        for block in np.array_split(rows, min(events // BLOCK_EVENTS + 1, len(rows)))
        for found in _findings(profile, windows.take(block), score)
    ]
    odd_of = _by_window(profile.ranges.odd(windows))
    return [
        Explanation(findings[at], _lines(windows, row, findings[at], odd_of(row)))
        for row, at in enumerate(place)
    ]


def _distinct(profile: NormalProfile, windows: Windows) -> tuple[Ints, Ints]:
    """The rows of windows that have the same findings, one of each, and for each window the place
    of its like among these: windows of the same sequence, but for odd numbers and habits."""
    odd = [each.odd(windows)["window"].to_numpy() for each in (profile.ranges, profile.entities)]
    alone = np.unique(np.concatenate(odd)).astype(np.int64)
    alike = np.setdiff1d(np.arange(len(windows)), alone)
    first, of_alike = windows.take(alike).distinct()
    place = np.empty(len(windows), dtype=np.int64)
    place[alike], place[alone] = of_alike, len(first) + np.arange(len(alone))
    return np.concatenate([alike[first], alone]), place


def _findings(profile: NormalProfile, windows: Windows, score: Score) -> list[list[Finding]]:
    """The findings of each window, with their shares."""
    odd_numbers = profile.ranges.odd(windows)
    causes = _causes(profile, windows, odd_numbers)
    tried = [
        (row, cause)
        for row, of_window in enumerate(causes)
        for cause in of_window
        if cause.is_tried
    ]
    mended, is_empty = Mender(profile).mended(
        windows, [(row, cause.findings[0]) for row, cause in tried], odd_numbers
    )
    scores = np.where(is_empty, 0.0, score(mended))
    for (row, cause), after in zip(tried, scores[len(windows) :], strict=True):
        # Rounded, as the last digits of a network's score depend on what is scored beside.
        cause.fall = max(round(float(scores[row] - after), FALL_DIGITS), 0.0)
    return [_shared(of_window) for of_window in causes]


def _shared(causes: list[Cause]) -> list[Finding]:
    """The findings of a window with their shares, in the order in which they tell."""
    is_measured = any(cause.fall for cause in causes)
    found = []
    for cause in sorted(causes, key=lambda cause: -cause.weight):
        weight = cause.fall if is_measured else cause.weight
        found += [replace(finding, share=weight * finding.share) for finding in cause.findings]
    total = sum(finding.share for finding in found)
    # An order that makes nothing odd is what something missing or new leaves behind.
    found = [
        replace(finding, share=finding.share / total)
        for finding in found
        if finding.share or finding.kind != "order"
    ]
    # Of equals, what was never there comes first: it is what people look for.
    return sorted(found, key=lambda finding: (-round(finding.share, 6), finding.kind != "new"))


def _causes(
    profile: NormalProfile, windows: Windows, odd_numbers: pl.DataFrame
) -> list[list[Cause]]:
    """What differs from normal in each window."""
    vectors = windows.count_vectors(profile.vocabulary).toarray()
    _, nearest = profile.nearest(vectors)
    numbers_of, habits_of, pairs_of = (
        _by_window(frame)
        for frame in (odd_numbers, profile.entities.odd(windows), profile.unseen_pairs(windows))
    )
    causes = []
    for row in range(len(windows)):
        found = _count_causes(profile, windows, row, profile.vectors[nearest[row]], vectors[row])
        found += _value_causes(profile, numbers_of(row))
        found += _habit_causes(profile, habits_of(row))
        found.sort(key=lambda cause: (-cause.weight, cause.findings[0].template_id))
        for cause in found[:MOST_TRIED]:
            cause.is_tried = True
        causes.append(found + _order_causes(profile, pairs_of(row), 0.0 if found else 1.0))
    return causes


def _by_window(frame: pl.DataFrame) -> Callable[[int], pl.DataFrame]:
    """The rows of a frame by their `window`."""
    parts, nothing = frame.partition_by("window", as_dict=True), frame.clear()
    return lambda row: parts.get((row,), nothing)


def _count_causes(
    profile: NormalProfile, windows: Windows, row: int, expected: Ints, found: Ints
) -> list[Cause]:
    known = len(profile.vocabulary)
    weights: Floats = np.abs(np.log1p(found) - np.log1p(expected)) * profile.weights
    causes = []
    for column in np.flatnonzero(weights[:known]):
        before, now = int(expected[column]), int(found[column])
        kind: Kind = ("missing" if not now else "fewer") if now < before else "more"
        finding = Finding(kind, profile.vocabulary[column], before, now, 1.0)
        causes.append(Cause(float(weights[column]), [finding]))
    if found[known]:
        events = windows.events_of(row)
        unknown = events.filter(~events["template_id"].is_in(profile.vocabulary))
        counts = unknown["template_id"].value_counts().sort("template_id").rows()
        new = [Finding("new", each, 0, count, count / len(unknown)) for each, count in counts]
        causes.append(Cause(float(weights[known]), new))
    return causes


def _value_causes(profile: NormalProfile, odd: pl.DataFrame) -> list[Cause]:
    """odd: the odd numbers of a window; of each place the oddest is told."""
    causes = []
    for (template_id, place), of_place in odd.group_by("template_id", "place", maintain_order=True):
        oddest = of_place.sort("excess").row(-1, named=True)
        value = OddNumber(int(place), oddest["number"], oddest["low"], oddest["high"])
        finding = Finding("value", str(template_id), 0, len(of_place), 1.0, value=value)
        causes.append(Cause(WEIGHT_OF_EXCESS * oddest["excess"] * profile.weights[-1], [finding]))
    return causes


def _habit_causes(profile: NormalProfile, odd: pl.DataFrame) -> list[Cause]:
    """odd: the odd deeds of a window's entity, one a template."""
    causes = []
    for deed in odd.iter_rows(named=True):
        habit = OddHabit(deed["entity"], deed["windows"], deed["seen"], deed["half"])
        finding = Finding("habit", deed["template_id"], 0, deed["count"], 1.0, habit=habit)
        causes.append(Cause(WEIGHT_OF_EXCESS * deed["excess"] * profile.weights[-1], [finding]))
    return causes


def _order_causes(profile: NormalProfile, pairs: pl.DataFrame, weight: float) -> list[Cause]:
    """pairs: of neighbours in a window that no normal window holds. Those of the most frequent
    templates say most."""
    held = dict(zip(profile.vocabulary, profile.windows_with_template.tolist(), strict=True))
    known = [
        (-min(held[first], held[second]), first, second)
        for first, second in pairs.select("first", "second").rows()
        if first in held and second in held
    ]
    return [
        Cause(
            weight,
            [Finding("order", first, 0, 1, 1.0, followed_by=second)],
            is_tried=number < MOST_ORDERS_TRIED,
        )
        for number, (_, first, second) in enumerate(sorted(known))
    ]


def _lines(windows: Windows, row: int, findings: list[Finding], odd: pl.DataFrame) -> list[Line]:
    """Where to look: the events of what was found, else the last ones of the window. odd: its odd
    numbers."""
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
