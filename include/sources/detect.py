"""How an unknown log reads: a proposal from a sample, for a person to look at."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from include.ingest.decode import read_lines
from include.ingest.times import to_utc
from include.objects import ByteStream
from include.sources import InvalidSource, LogSource, write_duration
from include.sources.formats import LEVEL, PRESETS, LineFormat

SAMPLE_LINES = 20_000
OWN_EXPRESSION = "an expression of its own"
# A preset must explain this share of the lines that start a record.
LEAST_SHARE = 0.6
# Almost every line must name its session, and sessions must be longer than a line or two.
KEY_SHARE, LEAST_LINES_PER_KEY = 0.9, 3
# The most telling first: where two fit equally well, the earlier is proposed.
PRESET_ORDER = [
    "json",
    "kubernetes_cri",
    "syslog_rfc5424",
    "nginx_access",
    "apache_access",
    "bgl",
    "hdfs",
    "log4j",
    "python",
    "syslog_rfc3164",
]
# Times that formats without a preset start with, and how they are read.
LEADING_TIMES = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?", "iso8601"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "%Y/%m/%d %H:%M:%S"),
    (r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d", "%y/%m/%d %H:%M:%S"),
    (r"\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "%m-%d %H:%M:%S%.f"),
    (r"\d{8}-\d\d?:\d\d?:\d\d?:\d{1,3}", "%Y%m%d-%H:%M:%S:%3f"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", "%a %b %e %H:%M:%S %Y"),
    (r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d", "%b %e %H:%M:%S"),
    (r"\d{10}(?:\.\d{1,9})?|\d{13}", "epoch"),
]
# How levels stand after the time: in brackets, Android's letters, or bare, after process numbers.
LEADING_LEVELS = [
    rf"\[(?P<severity>(?i:{LEVEL}))\] *",
    r"\d+ +\d+ +(?P<severity>[VDIWEF]) ",
    rf"(?:\d+ +){{0,2}}(?P<severity>{LEVEL})\b[ |:]*",
]
SESSION_KEYS = [
    r"\b((?:blk|req|request|txn|job|task|trace|sess|session|conn)_-?[0-9a-f]{4,})\b",
    r"\b(?:req|request|trace|session|txn|correlation|conn|job)(?:[-_]?id)?[=:]\s?([\w-]{4,})",
    r"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b",
]
FIVE_MINUTES = {"kind": "time", "size": "5m", "step": "5m"}
LEAST_IDLE, LEAST_SPAN = timedelta(minutes=10), timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A source that reads a sample, the name of its format and how well it fits."""

    source: LogSource
    format_name: str
    lines: int
    share_parsed: float


def propose_source(path: Path, name: str | None = None, preset: str | None = None) -> Proposal:
    """The source that explains most lines of a file, named after it unless a name is given.

    Raises InvalidSource where no format fits.
    """
    with path.open("rb") as stream:
        return propose_from(stream, str(path), name or source_name(path), preset)


def propose_from(stream: ByteStream, called: str, name: str, preset: str | None = None) -> Proposal:
    """The same of the first lines of a stream. called: what errors call it."""
    empty = pl.Series("line", [], pl.String)
    lines = next(read_lines(stream, SAMPLE_LINES), empty)
    sample = lines.filter(lines.str.strip_chars() != "")
    if not len(sample):
        raise InvalidSource(f"{called}: the file holds no lines to learn a format from")
    format_name, line_format = _format_of(sample, called, preset)
    source = LogSource.model_validate(
        {
            "name": name,
            "format": format_name if format_name in PRESETS else line_format,
            "windowing": _windowing(sample, line_format),
        }
    )
    return Proposal(source, format_name, len(sample), _share_read(sample, line_format))


def source_name(path: Path) -> str:
    """A name that a source may bear, out of a file's."""
    stem = path.name.split(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")
    return name if name[:1].isalpha() else f"logs_{name}".rstrip("_")


def _format_of(sample: pl.Series, called: str, preset: str | None) -> tuple[str, LineFormat]:
    if preset is not None:
        if preset not in PRESETS:
            raise InvalidSource(f"no format {preset!r}; there are: {', '.join(sorted(PRESETS))}")
        return preset, PRESETS[preset]
    shares = {name: _share_read(sample, PRESETS[name]) for name in PRESET_ORDER}
    best = max(PRESET_ORDER, key=lambda name: shares[name])
    if shares[best] >= LEAST_SHARE:
        return best, PRESETS[best]
    fitting = _own_expression(sample)
    if _share_read(sample, fitting) < LEAST_SHARE:
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)
        raise InvalidSource(
            f"{called}: no known format reads {LEAST_SHARE:.0%} of its lines"
            f"{f' (best: {told})' if told else ''}; write a source file with a pattern of your "
            f"own. The first line is: {sample[0][:200]}"
        )
    return OWN_EXPRESSION, fitting


def _own_expression(sample: pl.Series) -> LineFormat:
    """The expression that reads most times, with the kind of level that most lines have."""
    headers = {rf"^(?:\S+ )?\[?(?P<time>{time})\]?[ |:,-]*": how for time, how in LEADING_TIMES}
    plain = [LineFormat(pattern=rf"{each}(?P<message>.*)$", time=headers[each]) for each in headers]
    best = max(plain, key=lambda each: _share_read(sample, each))
    header = best.pattern.removesuffix("(?P<message>.*)$")
    levels = max(LEADING_LEVELS, key=lambda level: sample.str.contains(header + level).sum())
    if not sample.str.contains(header + levels).any():
        return best
    return LineFormat(pattern=rf"{header}(?:{levels})?(?P<message>.*)$", time=best.time)


def _share_read(sample: pl.Series, line_format: LineFormat) -> float:
    """The share of lines whose header and time are read."""
    if line_format.kind == "json":
        return int(sample.str.contains(line_format.pattern).sum()) / len(sample)
    times = sample.str.extract_groups(line_format.pattern).struct.field("time")
    read = to_utc(times, line_format.time_formats, "UTC", datetime.now(UTC))
    return 1 - read.null_count() / len(sample)


def _windowing(sample: pl.Series, line_format: LineFormat) -> dict[str, str]:
    """Sessions where nearly every line names one, else windows of five minutes."""
    for key in SESSION_KEYS:
        keys = sample.str.extract(key, 1).drop_nulls()
        counts = Counter(keys)
        often = len(keys) >= KEY_SHARE * len(sample)
        if often and LEAST_LINES_PER_KEY * len(counts) <= len(keys) and len(counts) > 1:
            idle = _idle_timeout(sample, key, line_format)
            span = max(LEAST_SPAN, 6 * idle)
            return {
                "kind": "session",
                "key": key,
                "idle_timeout": write_duration(idle),
                "longest_span": write_duration(span),
            }
    return FIVE_MINUTES


def _idle_timeout(sample: pl.Series, key: str, line_format: LineFormat) -> timedelta:
    """Twice the pause that only one in a hundred pauses inside sessions exceeds, in minutes."""
    if line_format.kind == "json":
        return timedelta(minutes=30)
    times = sample.str.extract_groups(line_format.pattern).struct.field("time")
    read = to_utc(times, line_format.time_formats, "UTC", datetime.now(UTC))
    gaps = (
        pl.DataFrame({"key": sample.str.extract(key, 1), "time": read})
        .drop_nulls()
        .sort("time")
        .select(pl.col("time").diff().over("key"))
        .to_series()
        .drop_nulls()
    )
    usual = gaps.dt.total_seconds().quantile(0.99) if len(gaps) else None
    minutes = -(-2 * (usual or 0) // 60)
    return max(LEAST_IDLE, timedelta(minutes=minutes))
