"""The numbers in parameters: counts, sizes and durations, in base units."""

import polars as pl

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "min": 60.0, "h": 3600.0}
_UNITS |= {f"{prefix}b": 1024.0**power for power, prefix in enumerate("kmgtp", 1)}
# What begins with a zero is no quantity but a code, a part of a time or hexadecimal; what has more
# than fifteen digits is an identifier.
_NUMBER = r"[+-]?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]+)?"
_QUANTITY = rf"^{_NUMBER} ?(?:[kKMGTP]?i?[bB]|[mnuµ]?s|secs?|min|h|%)?$"
_DIGITS = "+-.0123456789 "
_LETTERS = "kKMGTPibBmnuµsechin% "


def numbers_of(parameters: pl.Series) -> pl.Series:
    """For each list of parameters a list as long: the number where a parameter is one, else null.

    parameters: lists of strings; lists of float64 come back. Durations are in seconds, sizes in
    bytes.

    >>> numbers_of(pl.Series([["12", "1.5 kB", "80ms", "blk_7", "0x1f"]])).to_list()
    [[12.0, 1536.0, 0.08, None, None]]
    """
    text = pl.when(pl.element().str.contains(_QUANTITY)).then(pl.element())
    unit = text.str.strip_chars_start(_DIGITS).str.to_lowercase().str.replace("i?b$", "b")
    factor = unit.replace_strict(_UNITS, default=1.0, return_dtype=pl.Float64)
    number = text.str.strip_chars_end(_LETTERS).cast(pl.Float64)
    return parameters.list.eval(number * factor).alias("numbers")
