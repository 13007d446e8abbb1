"""Why a window is odd: how it differs from the nearest normal window, in words.

The answer holds for every family: differences are those from what normal looks like, and what each
is worth, the detector itself says of the window without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from ml.mending import Mender
from ml.profile import Floats, Ints, NormalProfile
from ml.ranges import PAUSE, WEIGHT_OF_EXCESS
from ml.windows import Windows

Score = Callable[[Windows], Floats]
Kind = Literal["new", "missing", "more", "fewer", "order", "value", "late", "habit"]

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
    """A number outside its range, low to high. place: which parameter of the template, from 0, or
    `PAUSE`: the seconds since the event before."""

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
        range, `found` times; `late`: the pause before it does; `habit`: it is found, or so often,
        though not from this entity before.
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
    of its like among these: windows of the same templates and levels, but for those with odd
    numbers or habits."""
    odd = [each.odd(windows)["window"].to_numpy() for each in (profile.ranges, profile.entities)]
    alone = np.unique(np.concatenate(odd)).astype(np.int64)
    alike = np.setdiff1d(np.arange(len(windows)), alone)
    told = pl.concat_str("template_id", "severity", separator=" ", ignore_nulls=True)
    leveled = replace(windows, events=windows.events.select(template_id=told))
    first, of_alike = leveled.take(alike).distinct()
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
    """What differs from normal in each window, the heaviest first."""
    causes: list[list[Cause]] = [[] for _ in range(len(windows))]
    for row, cause in (
        *_count_causes(profile, windows),
        *_value_causes(profile, odd_numbers),
        *_habit_causes(profile, profile.entities.odd(windows)),
    ):
        causes[row].append(cause)
    orders: list[list[Cause]] = [[] for _ in range(len(windows))]
    for row, cause in _order_causes(profile, profile.unseen_pairs(windows)):
        orders[row].append(cause)
    for of_window, of_order in zip(causes, orders, strict=True):
        of_window.sort(key=lambda cause: (-cause.weight, cause.findings[0].template_id))
        for cause in (*of_window[:MOST_TRIED], *of_order[:MOST_ORDERS_TRIED]):
            cause.is_tried = True
        # The profile weighs an order only where nothing else differs.
        of_window += [replace(cause, weight=0.0) for cause in of_order] if of_window else of_order
    return causes


def _count_causes(profile: NormalProfile, windows: Windows) -> Iterator[tuple[int, Cause]]:
    known = len(profile.vocabulary)
    found = windows.count_vectors(profile.vocabulary).toarray()
    _, nearest = profile.nearest(found)
    expected = profile.vectors[nearest]
    weights: Floats = np.abs(np.log1p(found) - np.log1p(expected)) * profile.weights
    for row, column in np.argwhere(weights[:, :known]).tolist():
        before, now = int(expected[row, column]), int(found[row, column])
        kind: Kind = ("missing" if not now else "fewer") if now < before else "more"
        finding = Finding(kind, profile.vocabulary[column], before, now, 1.0)
        yield row, Cause(float(weights[row, column]), [finding])
    unseen = (
        windows.events.select("template_id", window=pl.Series(windows.rows_of_events))
        .filter(~pl.col("template_id").is_in(profile.vocabulary))
        .group_by("window", "template_id")
        .agg(found=pl.len())
        .sort("window", "template_id")
    )
    for (row,), of_window in unseen.partition_by("window", as_dict=True).items():
        total = int(of_window["found"].sum())
        counts = of_window.select("template_id", "found").rows()
        new = [Finding("new", each, 0, count, count / total) for each, count in counts]
        yield row, Cause(float(weights[row, known]), new)


def _value_causes(profile: NormalProfile, odd: pl.DataFrame) -> Iterator[tuple[int, Cause]]:
    """odd: the odd numbers of the windows; of each place the oddest is told."""
    places = odd.sort("excess").group_by("window", "template_id", "place", maintain_order=True)
    for place in places.agg(pl.all().last(), found=pl.len()).iter_rows(named=True):
        value = OddNumber(place["place"], place["number"], place["low"], place["high"])
        kind: Kind = "late" if value.place == PAUSE else "value"
        finding = Finding(kind, place["template_id"], 0, place["found"], 1.0, value=value)
        weight = WEIGHT_OF_EXCESS * place["excess"] * profile.weights[-1]
        yield place["window"], Cause(weight, [finding])


def _habit_causes(profile: NormalProfile, odd: pl.DataFrame) -> Iterator[tuple[int, Cause]]:
    """odd: the odd deeds of the windows' entities, one a template."""
    for deed in odd.iter_rows(named=True):
        habit = OddHabit(deed["entity"], deed["windows"], deed["seen"], deed["half"])
        finding = Finding("habit", deed["template_id"], 0, deed["count"], 1.0, habit=habit)
        weight = WEIGHT_OF_EXCESS * deed["excess"] * profile.weights[-1]
        yield deed["window"], Cause(weight, [finding])


def _order_causes(profile: NormalProfile, pairs: pl.DataFrame) -> Iterator[tuple[int, Cause]]:
    """pairs: of neighbours in the windows that no normal window holds. Those of the most frequent
    templates say most."""
    held = dict(zip(profile.vocabulary, profile.windows_with_template.tolist(), strict=True))
    known = [
        (-min(held[first], held[second]), first, second, window)
        for window, first, second in pairs.select("window", "first", "second").rows()
        if first in held and second in held
    ]
    for _, first, second, window in sorted(known):
        yield window, Cause(1.0, [Finding("order", first, 0, 1, 1.0, followed_by=second)])


def _by_window(frame: pl.DataFrame) -> Callable[[int], pl.DataFrame]:
    """The rows of a frame by their `window`."""
    parts, nothing = frame.partition_by("window", as_dict=True), frame.clear()
    return lambda row: parts.get((row,), nothing)


def _lines(windows: Windows, row: int, findings: list[Finding], odd: pl.DataFrame) -> list[Line]:
    """Where to look: the events of what was found, else the last ones of the window. odd: its odd
    numbers."""
    start, end = int(windows.offsets[row]), int(windows.offsets[row + 1])
    templates = windows.events["template_id"][start:end].to_numpy()
    events: list[int] = []
    for finding in findings:
        if not finding.share:
            continue
        if finding.value:
            of_template = pl.col("template_id") == finding.template_id
            of_place = odd.filter(of_template & (pl.col("place") == finding.value.place))
            events += of_place.sort("excess")["event"].tail(2).to_list()
        elif len(events) < LINES_OF_EXPLANATION:
            # The last of each finding's events: a repetition is odd at its end, not at its start.
            events += (start + np.flatnonzero(templates == finding.template_id)[-2:]).tolist()
    events = events or list(range(max(start, end - LINES_OF_EXPLANATION), end))
    picked = windows.events.select("object_key", "line_number")[events]
    addresses = [Line(*each) for each in picked.rows()]
    return list(dict.fromkeys(addresses))[:LINES_OF_EXPLANATION]


def _in_words(finding: Finding, text_of: Callable[[str], str]) -> str:
    text = f"“{_shortened(text_of(finding.template_id))}”"
    if finding.value and finding.kind == "late":
        pause, high = (_seconds_in_words(n) for n in (finding.value.number, finding.value.high))
        return f"late: {text} {pause} after what came before it, where at most {high} is normal"
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


def _seconds_in_words(seconds: float) -> str:
    """In the unit that people would take, with two digits or three."""
    for name, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"


def _shortened(text: str) -> str:
    """The first line, no longer than `TEXT_LENGTH`; an ellipsis where something is left out."""
    head = text.split("\n", 1)[0]
    if head == text and len(text) <= TEXT_LENGTH:
        return text
    return head[: TEXT_LENGTH - 1] + "…"
