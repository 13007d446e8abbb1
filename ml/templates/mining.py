"""Mining: the patterns behind the distinct shapes of a source.

All shapes are seen before anything is decided, and in no order. Shapes are compared within one
skeleton, as rows of words. First, tokens that are values by their look may differ. Then rows are
split by the position that takes the fewest values, until what still varies takes many values and
explains nothing else: that is variable. Then patterns that differ at one position are joined
where its values say so, and what a pattern covers but for values is absorbed.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ml.templates.masking import SLOT
from ml.templates.patterns import filled, fits, keyed_positions, skeleton_of, words_of
from ml.templates.wording import (
    Kind,
    are_flags,
    are_identifiers,
    is_short,
    is_telling,
    kind_of,
    may_be_value,
)

# How many values make a position variable while all else is equal, by what most of them look
# like. Below that, they are words that make templates of their own.
VALUES_NEEDED = {Kind.ACTION: 12, Kind.WORD: 5, Kind.NAME: 4, Kind.COMPOUND: 3, Kind.VALUE: 2}
# The start of a message is its subject, and seldom variable.
VALUES_NEEDED_AT_THE_START = {**VALUES_NEEDED, Kind.WORD: 20, Kind.NAME: 20, Kind.COMPOUND: 6}
# What stands after an equals sign is a value already.
VALUES_NEEDED_OF_A_KEY = dict.fromkeys(Kind, 4) | {Kind.COMPOUND: 3, Kind.VALUE: 2}
# Where several positions vary at once, words need more evidence.
VALUES_NEEDED_TOGETHER = 20
# From this many on, tokens that are mostly values make a slot for values.
MANY_VALUES = 8
# From this many on, such a slot also takes in words that occur nowhere else.
VERY_MANY_VALUES = 20

Row = tuple[str, ...]


def mine(shapes: Collection[str]) -> dict[str, str]:
    """The pattern of each shape."""
    by_skeleton: dict[str, list[Row]] = defaultdict(list)
    for shape in sorted(shapes):
        by_skeleton[skeleton_of(shape)].append(tuple(words_of(shape)))
    groups = [
        _Group(skeleton, rows, keyed_positions(skeleton)) for skeleton, rows in by_skeleton.items()
    ]
    patterns = [group.patterns() for group in groups]
    constants = Counter(word for found in patterns for each in set(found.values()) for word in each)
    vocabulary = frozenset(word for word, uses in constants.items() if uses > 1)
    known = frozenset(
        word
        for found in patterns
        for row, pattern in found.items()
        for word, own in zip(row, pattern, strict=True)
        if own == SLOT and SLOT not in word
    )
    result = {}
    for group, found in zip(groups, patterns, strict=True):
        final = group.absorbed(group.joined(group.merged(found, known)), vocabulary)
        for row, pattern in final.items():
            result[filled(group.skeleton, row)] = filled(group.skeleton, pattern)
    return result


@dataclass(frozen=True)
class _Group:
    """The rows of words of one skeleton. keyed: the positions that follow an equals sign."""

    skeleton: str
    rows: list[Row]
    keyed: frozenset[int]

    def patterns(self) -> dict[Row, Row]:
        """The pattern of each row, as far as this group alone tells it."""
        first = {row: row for row in self.rows}
        for group in _same_but_for_values(self.rows):
            first |= dict.fromkeys(group, _wide(group))
        second: dict[Row, Row] = {}
        for group in self._split(sorted(set(first.values()))):
            second |= dict.fromkeys(group, _wide(group))
        return self.merged({row: second[first[row]] for row in self.rows}, frozenset())

    def merged(self, patterns: dict[Row, Row], known: frozenset[str]) -> dict[Row, Row]:
        """Patterns that differ at one position only are one, if its values are variable.

        known: values that are variable in some pattern; two of them are enough.
        """
        while True:
            values: dict[tuple[int, Row], set[str]] = defaultdict(set)
            for row in set(patterns.values()):
                for position in range(len(row)):
                    values[position, _without(row, position)].add(row[position])
            wide = {
                (position, rest)
                for (position, rest), found in values.items()
                if len(found) > 1
                and any(map(is_telling, rest))
                and (SLOT in found or found <= known or self._are_many(found, position))
            }
            if not wide:
                return patterns
            wider = {
                pattern: tuple(
                    SLOT if (position, _without(pattern, position)) in wide else word
                    for position, word in enumerate(pattern)
                )
                for pattern in set(patterns.values())
            }
            patterns = {row: wider[pattern] for row, pattern in patterns.items()}

    def joined(self, patterns: dict[Row, Row]) -> dict[Row, Row]:
        """Patterns that differ only where values may stand are one, if one of them holds many."""
        slots = self._value_slots(patterns)
        groups: dict[Row, list[Row]] = defaultdict(list)
        for pattern in sorted(slots):
            groups[tuple(SLOT if may_be_value(word) else word for word in pattern)].append(pattern)
        into = {pattern: pattern for pattern in slots}
        for key, group in groups.items():
            if any(slots[pattern] for pattern in group) and sum(map(is_telling, key)) > 1:
                into |= dict.fromkeys(group, _wide(group))
        return {row: into[pattern] for row, pattern in patterns.items()}

    def absorbed(self, patterns: dict[Row, Row], vocabulary: frozenset[str]) -> dict[Row, Row]:
        """Patterns that a wider one covers, where they hold values or nothing telling, join it.

        vocabulary: words that several patterns use, which therefore tell something.
        """
        support = Counter(patterns.values())
        slots = self._value_slots(patterns)
        wide = sorted(
            (pattern for pattern, rows in support.items() if SLOT in pattern),
            key=lambda pattern: (pattern.count(SLOT), pattern),
        )
        into = {
            pattern: next(
                (
                    each
                    for each in wide
                    if each != pattern and self._covers(each, pattern, slots[each], vocabulary)
                ),
                pattern,
            )
            for pattern in support
        }
        while any(into[other] != other for other in into.values()):
            into = {pattern: into[other] for pattern, other in into.items()}
        return {row: into[pattern] for row, pattern in patterns.items()}

    def _covers(
        self, wide: Row, row: Row, slots: dict[int, int], vocabulary: frozenset[str]
    ) -> bool:
        """Whether a pattern fits a row, and no word that tells something is lost in it.

        slots: how many tokens were found in those slots of the pattern that hold values.
        """
        return fits(wide, row) and all(
            kind_of(word) >= Kind.COMPOUND
            or ((is_short(word) or position in slots) and may_be_value(word))
            or (position in slots and position in self.keyed and not are_flags([word]))
            or (slots.get(position, 0) >= VERY_MANY_VALUES and word not in vocabulary)
            for position, (own, word) in enumerate(zip(wide, row, strict=True))
            if own == SLOT
        )

    def _value_slots(self, patterns: dict[Row, Row]) -> dict[Row, dict[int, int]]:
        """The slots of each pattern in which many tokens were found, mostly values; how many."""
        found: dict[tuple[Row, int], set[str]] = defaultdict(set)
        for row, pattern in patterns.items():
            for position, own in enumerate(pattern):
                if own == SLOT:
                    found[pattern, position].add(row[position])
        slots: dict[Row, dict[int, int]] = {pattern: {} for pattern in patterns.values()}
        for (pattern, position), values in found.items():
            kind = _usual_kind(values)
            if len(values) >= (MANY_VALUES if kind == Kind.VALUE else VERY_MANY_VALUES):
                slots[pattern][position] = len(values)
        return slots

    def _split(self, rows: list[Row]) -> Iterable[list[Row]]:
        """Groups of rows that belong to one template each."""
        varying = _varying(rows)
        if not varying:
            yield rows
            return
        sizes = {position: len({row[position] for row in rows}) for position in varying}
        fewest = min(varying, key=lambda position: (sizes[position], position))
        if self._all_variable(rows, varying) and not self._explains(rows, varying, fewest):
            yield rows
            return
        parts: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            parts[row[fewest]].append(row)
        for part in parts.values():
            yield from self._split(part)

    def _all_variable(self, rows: list[Row], varying: list[int]) -> bool:
        constant = [word for position, word in enumerate(rows[0]) if position not in varying]
        telling = sum(map(is_telling, constant))
        if not telling or telling < 0.5 * len(varying):
            return False
        return all(
            self._are_many({row[position] for row in rows}, position, together=len(varying) > 1)
            for position in varying
        )

    def _are_many(self, values: Collection[str], position: int, together: bool = False) -> bool:
        """Whether this many values of this look make a position variable."""
        if are_flags(values):
            return False
        kind = _usual_kind(values)
        if position in self.keyed:
            return len(values) >= VALUES_NEEDED_OF_A_KEY[kind]
        if position and are_identifiers(values):
            return len(values) > 1
        needed = (VALUES_NEEDED if position else VALUES_NEEDED_AT_THE_START)[kind]
        if together and kind <= Kind.NAME:
            needed = VALUES_NEEDED_TOGETHER
        return len(values) >= needed

    def _explains(self, rows: list[Row], varying: list[int], chosen: int) -> bool:
        """Whether rows that agree at the chosen position mostly agree at another that varies.

        Then the chosen one holds words of several templates. Values explain nothing.
        """
        if chosen in self.keyed or _usual_kind({row[chosen] for row in rows}) >= Kind.COMPOUND:
            return False
        parts: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            parts[row[chosen]].append(row)
        several = [part for part in parts.values() if len(part) > 1]
        size = sum(len(part) for part in several)
        return len(several) > 1 and any(
            sum(len(part) for part in several if len({row[other] for row in part}) == 1)
            > 0.5 * size
            for other in varying
            if other != chosen
        )


def _usual_kind(values: Collection[str]) -> Kind:
    """What values look like: the most telling kind that three tenths of them reach."""
    kinds = Counter(map(kind_of, values))
    reached = 0
    for kind in Kind:
        reached += kinds[kind]
        if reached > 0.3 * len(values):
            return kind
    return Kind.VALUE


def _same_but_for_values(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Groups of rows with the same words, where the tokens that are values may differ."""
    groups: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(SLOT if kind_of(word) == Kind.VALUE else word for word in row)].append(row)
    for key, group in groups.items():
        if any(map(is_telling, key)):
            yield group


def _varying(rows: Sequence[Row]) -> list[int]:
    columns = zip(*rows, strict=True)
    return [position for position, words in enumerate(columns) if len(set(words)) > 1]


def _wide(rows: Sequence[Row]) -> Row:
    return tuple(words[0] if len(set(words)) == 1 else SLOT for words in zip(*rows, strict=True))


def _without(row: Row, position: int) -> Row:
    return row[:position] + row[position + 1 :]
