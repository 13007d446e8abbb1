"""Times as logs write them, to UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

ZONE = r"\s*(?:(Z)|([+-])(\d\d):?(\d\d))$"
UTC_TIME = pl.Datetime("us", "UTC")
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
    result = pl.Series("event_time", [None] * len(text), UTC_TIME)
    for time_format in formats:
        missing = result.is_null()
        if not missing.any():
            break
        parsed = _parse(text.filter(missing), time_format, time_zone, stored_utc)
        result = result.scatter(missing.arg_true(), parsed)
    return result


def is_plausible(times: pl.Expr, stored_utc: datetime) -> pl.Expr:
    """Whether a time lies between 1990 and a day after the object was stored."""
    return times.is_between(EARLIEST, stored_utc + CLOCK_SKEW)


def _parse(text: pl.Series, time_format: str, time_zone: str, stored_utc: datetime) -> pl.Series:
    if time_format == "epoch":
        return _epoch(text)
    base = text.str.strip_chars()
    if time_format == "iso8601" or time_format.endswith("%z"):
        return _with_zones(base, time_format, time_zone, stored_utc)
    local = base.to_frame("base").select(_local(time_format, stored_utc))
    return local.select(_in_utc(pl.first(), time_zone)).to_series()


def _with_zones(
    text: pl.Series, time_format: str, time_zone: str, stored_utc: datetime
) -> pl.Series:
    frame = text.to_frame("text").with_columns(
        zone=pl.col("text").str.extract_groups(ZONE),
        base=pl.col("text").str.replace(ZONE, ""),
    )
    hours, minutes = (pl.col("zone").struct.field(n).cast(pl.Int64) for n in ("3", "4"))
    offset = pl.duration(hours=hours, minutes=minutes)
    sign = pl.when(pl.col("zone").struct.field("2") == "-").then(-1).otherwise(1)
    local = _local(time_format.removesuffix("%z").strip(), stored_utc)
    is_utc = pl.col("zone").struct.field("1").is_not_null()
    parsed = frame.with_columns(local=local).select(
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


def _local(time_format: str, stored_utc: datetime) -> pl.Expr:
    """The time without its zone, out of the column `base`."""
    base = pl.col("base")
    if time_format == "iso8601":
        base = base.str.replace("T", " ", literal=True).str.replace(",", ".", literal=True)
        return base.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    if "%Y" in time_format or "%y" in time_format:
        return base.str.to_datetime(time_format, time_unit="us", strict=False)
    latest = pl.lit(stored_utc.replace(tzinfo=None) + CLOCK_SKEW)
    squeezed = base.str.replace_all(r" +", " ")
    # This year's, unless that would be in the future; 29 February finds its year among the last.
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
