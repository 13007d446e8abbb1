"""Patterns: shapes cut into tokens, some of which may be any word.

A token is a delimiter or a word: a run of anything else. In a pattern the word `SLOT` fits every
word; all other tokens fit themselves.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from ml.templates.masking import SLOT

_DELIMITERS = r"\s=:,;()\[\]{}<>\"'|"
# Nothing between brackets or quotes, or after an equals sign, is an empty word: a value that was
# not there this time.
_EMPTY = r"(?<=\()(?=\))|(?<=\[)(?=\])|(?<=\")(?=\")|(?<==)(?=[\s,;)]|$)"
_WORD = re.compile(rf"[^{_DELIMITERS}]+|{_EMPTY}")


def skeleton_of(shape: str) -> str:
    """The delimiters of a shape, with one letter for each word; patterns fit within one."""
    return _WORD.sub("w", shape)


def words_of(shape: str) -> list[str]:
    return _WORD.findall(shape)


def keyed_positions(skeleton: str) -> frozenset[int]:
    """Which words of a skeleton follow a key: an equals sign, or the colon of a quoted key."""
    before = [text.rstrip("\"' ") for text in skeleton.split("w")[:-1]]
    return frozenset(place for place, text in enumerate(before) if text.endswith(("=", '":', "':")))


def filled(skeleton: str, words: Iterable[str]) -> str:
    """The shape with this skeleton and these words."""
    rest: Iterator[str] = iter(words)
    return "".join(next(rest) if letter == "w" else letter for letter in skeleton)


def fits(pattern: Sequence[str], words: Sequence[str]) -> bool:
    return all(own in (SLOT, word) for own, word in zip(pattern, words, strict=True))


@dataclass
class PatternIndex:
    """Finds the first of the patterns, in the order in which they were added, that fits a shape.

    The pattern that is equal to the shape goes before all others.
    """

    _by_skeleton: dict[str, list[tuple[list[str], str]]] = field(default_factory=dict)
    _exact: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Self:
        index = cls()
        for pattern in patterns:
            index._add(pattern)
        return index

    def _add(self, pattern: str) -> None:
        self._exact.add(pattern)
        if SLOT in words_of(pattern):
            same = self._by_skeleton.setdefault(skeleton_of(pattern), [])
            same.append((words_of(pattern), pattern))

    def find(self, shape: str) -> str | None:
        if shape in self._exact:
            return shape
        candidates = self._by_skeleton.get(skeleton_of(shape))
        if not candidates:
            return None
        words = words_of(shape)
        return next((pattern for own, pattern in candidates if fits(own, words)), None)


def parts(pattern: str, shape: str) -> list[str]:
    """What each slot of the pattern stands for in a shape that it fits."""
    found = []
    for own, word in zip(words_of(pattern), words_of(shape), strict=True):
        found += [word] if own == SLOT else [SLOT] * own.count(SLOT)
    return found
