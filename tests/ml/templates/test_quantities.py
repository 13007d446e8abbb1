"""The numbers in parameters."""

from __future__ import annotations

import polars as pl
import pytest

from ml.templates import numbers_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        ("-3.5", -3.5),
        ("0", 0.0),
        ("250ms", 0.25),
        ("3 min", 180.0),
        ("2h", 7200.0),
        ("15µs", 15e-6),
        ("7 secs", 7.0),
        ("4B", 4.0),
        ("1.5 kB", 1536.0),
        ("3MiB", 3 * 1024.0**2),
        ("95%", 95.0),
        ("blk_7", None),
        ("0x1f", None),
        ("1e5", None),
        ("10.0.0.1", None),
        ("007", None),
        ("1234567890123456", None),
        ("", None),
    ],
)
def test_a_parameter_is_a_number_or_none(text: str, number: float | None) -> None:
    (found,) = numbers_of(pl.Series([[text]])).item()
    assert found == (None if number is None else pytest.approx(number))


def test_each_parameter_keeps_its_place() -> None:
    lists = [["a", "1", "2s"], [], None, ["3"]]
    found = numbers_of(pl.Series(lists, dtype=pl.List(pl.String)))
    assert found.to_list() == [[None, 1.0, 2.0], [], None, [3.0]]
