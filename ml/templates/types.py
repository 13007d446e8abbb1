"""Types of parameters, for readers and detectors."""

import re
from collections.abc import Iterable

WORD = "word"
# In order: the first that fits a value is its type.
_TYPES = {
    "number": r"[+-]?\d+(?:[.,]\d+)*%?",
    "size": r"[+-]?\d+(?:\.\d+)? ?(?:[kKMGTP]i?[bB]?|[bB])",
    "duration": r"[<>]?\d+(?:\.\d+)? ?(?:ms|us|ns|µs|s|secs?|min|h)",
    "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "address": (
        r"/?\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?"
        r"|[\w.-]+:\d+|[\w.+-]+@[\w.-]+|[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,}"
        r"|[\w-]+(?:\.[\w-]+)+\.[a-zA-Z]{2,}"
    ),
    "path": r"[a-zA-Z][\w+.-]*://\S+|/\S+|[a-zA-Z]:\\\S+",
    "hex": r"0[xX][0-9a-fA-F]+|[0-9a-fA-F]*\d[0-9a-fA-F]*",
}
_TIME = re.compile(
    r"(?:[A-Z][a-z]{2},? )?(?:\d{1,2}[ -/])?[A-Z][a-z]{2}[ -/]+\d+,?(?:[ :]\d+)*"
    r"(?: [A-Z]+)?(?: \d+)?"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?|\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?"
)
_PATTERNS = {name: re.compile(pattern) for name, pattern in _TYPES.items()}


def type_of(value: str) -> str:
    """One of number, duration, size, address, path, uuid, hex, time and word."""
    if _TIME.fullmatch(value):
        return "time"
    for name, pattern in _PATTERNS.items():
        if pattern.fullmatch(value):
            return name
    return WORD


def common_type(types: Iterable[str]) -> str:
    """The type of a parameter whose values have these types: hex takes in numbers, word all."""
    found = set(types)
    if len(found) == 1:
        return found.pop()
    return "hex" if found == {"hex", "number"} else WORD
