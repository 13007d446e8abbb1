"""What both regular expression engines read."""

from __future__ import annotations

import polars as pl
import pytest

from include.sources.formats import CONTINUATION, PRESETS, check_pattern, weight


@pytest.mark.parametrize(
    "pattern",
    [r"a(?=b)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", r"(?>a)", r"a++",
     r"a*+b", r"\d?+", r"a\Z"],
)  # fmt: skip
def test_what_one_engine_lacks_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="write it without look-around"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"(blk_-?\d+)", r"[*+]+", r"\?=\*\+", r"(?P<a>x)(?:y)?", r"[\]?+]", r"a{2}b+", r"(?i:x)+?"],
)
def test_what_both_read_is_kept(pattern: str) -> None:
    assert check_pattern(pattern) == pattern
    assert pl.Series(["x"]).str.contains(pattern).dtype == pl.Boolean


@pytest.mark.parametrize("pattern", [*(each.pattern for each in PRESETS.values()), CONTINUATION])
def test_the_presets_are_read_by_both(pattern: str) -> None:
    assert pl.Series([""]).str.contains(check_pattern(pattern)).to_list() == [False]


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        ("", 0),
        (r"a\d[b-z]", 3),
        ("(a|bc)d*", 4),
        ("(?i:x)+?", 1),
        ("(?P<a>a{2,5}b){3}", 18),
        ("((a{100}){100}){100}", 10**6),
    ],
)
def test_an_expression_weighs_what_its_repeats_hold(pattern: str, places: int) -> None:
    assert weight(pattern) == places
