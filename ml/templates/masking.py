"""Masking: the variable parts of messages that can be told by their shape alone.

The rules see collapsed texts (`digits.py`): a `0` in them stands for any number. They know how
values are written (addresses, paths, dates, identifiers), and no system's words.
"""

from collections.abc import Sequence
from functools import cache

import polars as pl

# Stands in a shape where a variable part was: the control character "substitute". Where a message
# holds it already, that one is masked too, so a shape never mistakes text for a variable part.
SLOT = "\x1a"

_HEX = "[0-9a-fA-F]"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SEGMENT = r"(?:[\w.+@%~$#=?&*-]|:\w)"
_PATH = rf"(?:{_SEGMENT}|\[[^\]\s]*\])"
_UNIT = "(?:[kKMGTP]i?[bB]?|[bB]|ms|us|ns|µs|s|sec|secs|min|h|Hz|[kMG]Hz|MHZ|x0[0-9a-fA-F]*)"

# In order: at each place of a text, the first rule that fits wins, and takes as much as it can.
_RULES = (
    # The slot character itself.
    f"{SLOT}+",
    # The frames of a stack trace: how deep it is does not make another template.
    r"(?:\r?\n[ \t]+(?:at |\.\.\. |File \")[^\n]*(?:\n {4}[^\n]*)?)+",
    # A list of quoted texts.
    r"\[ ?\"[^\"\]]*\"(?:, ?\"[^\"\]]*\")* ?\]",
    # "Fri Jun 17 07:07:00 2005", "17 Jun 2005", with and without a zone.
    rf"\b(?:{_DAY},? )?{_MONTH} +0,?(?: 0:0(?:[:.]0)*)?(?: [A-Z]{{3,4}})?(?: 0\b)?",
    rf"\b(?:{_DAY},? )?0[ -/]{_MONTH}[ -/]0(?:[ :]0:0(?:[:.]0)*)?(?: [A-Z]{{3,4}}\b)?",
    rf"\b{_DAY},? {_MONTH} +\w{{1,2}}\b",
    # An ISO time.
    r"\b0-0-0[T ]0:0(?:[:.,]0)*(?:Z\b|[+-]0(?::0)?)?",
    # UUIDs, and MAC and IPv6 addresses.
    rf"\b{_HEX}+(?:-{_HEX}+){{4}}\b",
    rf"\b{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{5,19}}\b",
    rf"\b{_HEX}{{1,4}}(?::{_HEX}{{0,4}}){{2,7}}::?{_HEX}{{1,4}}\b",
    rf"\b{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}}::(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?\b",
    # URLs.
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>,;|()\[\]{}]*[^\s\"'<>,;|()\[\]{}:.]",
    # E-mail addresses.
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b",
    # Absolute paths: two segments or more, or one with a number in it. The first is not a number,
    # which leaves the slash before an address alone.
    rf"\B(?:/{_SEGMENT}*[a-zA-Z_]{_SEGMENT}*(?:/{_PATH}*)+)",
    rf"\B/{_SEGMENT}*[a-zA-Z_]{_SEGMENT}*0{_SEGMENT}*",
    r"\b[a-zA-Z]:\\[^\s\"'<>,;|()\[\]{}]+",
    # Host names and dotted names that hold a number, with a port.
    r"\b0\.0\.0\.0(?::0\b)?(?:/0\b)?",
    r"\b(?:[\w$-]+\.)*[\w$-]*0[\w$-]*(?:\.[\w$-]+)*\.[a-zA-Z][\w$-]+(?::0\b)?",
    r"\b[\w-]+(?:\.[\w-]+)*\.[\w-]*0[\w-]*(?:\.[\w-]+)*:0\b",
    r"\b[a-zA-Z]\w*(?:-\w+)*-0:0\b",
    # Host names with a port; two labels alone may also be a source file and its line.
    r"\b(?:[\w-]+\.){2,}[a-zA-Z]{2,}:0\b",
    r"\b[\w-]+\.(?:com|net|org|edu|gov|mil|info|io|local|internal):0\b|\blocalhost:0\b",
    # "<1 sec".
    rf"[<>]0(?:\.0)? ?{_UNIT}\b",
    # Hexadecimal numbers, and words in which letters and numbers alternate.
    r"\b0[xX][0-9a-fA-F]*\b",
    r"\b(?:0[0-9a-f]*[a-f]|[a-f]+0)[0-9a-f]*\b",
    r"\b(?:0[0-9A-F]*[A-F]|[A-F]+0)[0-9A-F]*\b",
    r"\b[a-zA-Z]*0[a-zA-Z]+0[a-zA-Z]+0\w*",
    # Numbers in a row, as in versions, times, decimals and identifiers, with a unit.
    rf"0(?:[._:/-]?0)*(?:[_-][a-z]{{1,2}}[_-]0(?:[._:/-]?0)*)*(?:%|{_UNIT}\b| [kKMGTP]?i?B\b)?",
)
# Lists of variable parts become one: how long a list is does not make another template.
LIST = f"{SLOT}(?:(?:(?:, ?[+-]?)?|,? [a-z]+_){SLOT})*"


@cache
def mask_pattern(masks: tuple[str, ...] = ()) -> str:
    """The expression that matches one variable part of a collapsed text.

    masks: further expressions, which go before ours. They see each number as `0`, which `\\d+`
    matches. Raises ValueError for one that is no regular expression or matches nothing at all.
    """
    for mask in masks:
        try:
            matches_nothing = pl.Series([""]).str.contains(mask, strict=True).item()
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"the mask {mask!r} is no regular expression: {error}") from error
        if matches_nothing:
            raise ValueError(f"the mask {mask!r} matches an empty text; it must match something")
    return "|".join([*(f"(?:{mask})" for mask in masks), *map(_ascii, _RULES)])


def _ascii(rule: str) -> str:
    """The rule with letters and word boundaries of ASCII: a far smaller automaton to compile."""
    letters = "0-9A-Za-z_"
    rule = rule.replace(r"[\w", f"[{letters}").replace(r"\w", f"[{letters}]")
    return rule.replace(r"\b", r"(?-u:\b)")


def shapes_of(collapsed: pl.Expr, masks: Sequence[str]) -> pl.Expr:
    """Collapsed texts with each variable part as `SLOT`."""
    return collapsed.str.replace_all(mask_pattern(tuple(masks)), SLOT).str.replace_all(LIST, SLOT)
