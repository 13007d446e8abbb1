"""Times as logs write them, to UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl

ZONE = r"\s*(?:(Z)|([+-])(\d\d):?(\d\d))$"
UTC_TIME = pl.Datetime("us", "UTC")
LOCAL_TIME = pl.Datetime("us")
# Of the fractions of a second, in digits, that polars has formats for.
WIDTHS = (3, 6)
# Digits of an epoch in seconds, milli-, micro- and nanoseconds, in this century.
EPOCH_UNITS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)


def to_utc(
    text: pl.Series, formats: tuple[str, ...], time_zone: str, stored_utc: datetime
) -> pl.Series:
    """Times in UTC, null where no format fits. Shape (n,) in, shape (n,) out.

    time_zone: of the times that carry none. stored_utc: when the object was stored, which gives
    the year to formats without one: the latest that is not in the future.
    """
    readers = [
        partial(_parse, time_format=each, time_zone=time_zone, stored_utc=stored_utc)
        for each in formats
    ]
    return _first_that_fits(text, readers, UTC_TIME).alias("event_time")


def _first_that_fits(
    text: pl.Series, readers: Iterable[Callable[[pl.Series], pl.Series]], dtype: pl.Datetime
) -> pl.Series:
    """For each text what the first reader gives that does not give null for it."""
    result = pl.Series([None] * len(text), dtype=dtype)
    for read in readers:
        missing = result.is_null()
        if not missing.any():
            break
        result = result.scatter(missing.arg_true(), read(text.filter(missing)))
    return result


def is_plausible(times: pl.Expr, stored_utc: datetime) -> pl.Expr:
    """Whether a time lies between 1990 and a day after the object was stored."""
    return times.is_between(EARLIEST, stored_utc + CLOCK_SKEW)


def _parse(text: pl.Series, time_format: str, time_zone: str, stored_utc: datetime) -> pl.Series:
    if time_format == "epoch":
        return _epoch(text)
    text = text.str.strip_chars()
    if time_format == "iso8601" or time_format.endswith("%z"):
        return _with_zones(text, time_format, time_zone, stored_utc)
    local = _local(text, time_format, stored_utc)
    return local.to_frame("local").select(_in_utc(pl.col("local"), time_zone)).to_series()


def _with_zones(
    text: pl.Series, time_format: str, time_zone: str, stored_utc: datetime
) -> pl.Series:
    zones = text.str.extract_groups(ZONE)
    base = text.str.replace(ZONE, "")
    local = _local(base, time_format.removesuffix("%z").strip(), stored_utc)
    hours, minutes = (pl.col("zone").struct.field(n).cast(pl.Int64) for n in ("3", "4"))
    offset = pl.duration(hours=hours, minutes=minutes)
    sign = pl.when(pl.col("zone").struct.field("2") == "-").then(-1).otherwise(1)
    is_utc = pl.col("zone").struct.field("1").is_not_null()
    parsed = pl.DataFrame({"zone": zones, "local": local}).select(
        pl.when(is_utc)
        .then(pl.col("local").dt.replace_time_zone("UTC"))
        .when(hours.is_not_null())
        .then(pl.col("local").dt.replace_time_zone("UTC") - offset * sign)
        .otherwise(_in_utc(pl.col("local"), time_zone))
    )
    return parsed.to_series().cast(UTC_TIME)


def _in_utc(local: pl.Expr, time_zone: str) -> pl.Expr:
    known = local.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return known.dt.convert_time_zone("UTC").cast(UTC_TIME)


def _local(text: pl.Series, time_format: str, stored_utc: datetime) -> pl.Series:
    """The time without its zone."""
    if time_format == "iso8601":
        text = text.str.replace("T", " ", literal=True).str.replace(",", ".", literal=True)
        time_format = "%Y-%m-%d %H:%M:%S%.f"
    if "%Y" in time_format or "%y" in time_format:
        formats = [*_of_known_width(text, time_format), time_format]
        readers = [partial(_strptime, time_format=each) for each in formats]
        return _first_that_fits(text, readers, LOCAL_TIME)
    return text.to_frame("base").select(_in_latest_year(time_format, stored_utc)).to_series()


def _of_known_width(text: pl.Series, time_format: str) -> list[str]:
    """The format with the fraction of a second as wide as in the first text, where it has one: read
    so, a fraction takes a fifth of the time."""
    digits = str(text.drop_nulls().first()).rpartition(".")[2]
    if not time_format.endswith("%.f") or len(digits) not in WIDTHS:
        return []
    return [time_format.removesuffix("%.f") + f".%{len(digits)}f"]


def _strptime(text: pl.Series, time_format: str) -> pl.Series:
    return text.str.to_datetime(time_format, time_unit="us", strict=False)


def _in_latest_year(time_format: str, stored_utc: datetime) -> pl.Expr:
    """This year's, unless that would be in the future; 29 February finds its year among the last.

    Out of the column `base`.
    """
    latest = pl.lit(stored_utc.replace(tzinfo=None) + CLOCK_SKEW)
    squeezed = pl.col("base").str.replace_all(r" +", " ")
    years = [
        pl.format("{} {}", pl.lit(stored_utc.year - back + 1), squeezed).str.to_datetime(
            "%Y " + time_format.replace("%e", "%d"), time_unit="us", strict=False
        )
        for back in range(6)
    ]
    return pl.coalesce(pl.when(time <= latest).then(time) for time in years)


def _epoch(text: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"text": text}).with_columns(
        whole=pl.col("text").str.extract(r"^(\d{10,19})(?:\.\d+)?$", 1),
        fraction=pl.col("text").str.extract(r"^\d{10}(\.\d{1,9})$", 1),
    )
    digits = pl.col("whole").str.len_chars()
    number = pl.col("whole").cast(pl.Int64, strict=False)
    micros = pl.coalesce(
        pl.when(digits == width).then(
            number * (10**6 // unit) if unit <= 10**6 else number // (unit // 10**6)
        )
        for width, unit in EPOCH_UNITS.items()
    )
    fraction = (pl.col("fraction").cast(pl.Float64, strict=False).fill_null(0) * 1e6).round()
    return frame.select((micros + fraction.cast(pl.Int64)).cast(UTC_TIME)).to_series()
