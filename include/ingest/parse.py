"""From lines to events: the header's fields as columns, and the rest to the quarantine.

Every line read is accounted for: it starts an event, continues one, or is quarantined with a
reason. The result does not depend on the size of the chunks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import polars as pl

from include.ingest.decode import LONGEST_LINE, read_lines
from include.ingest.headers import HeaderReader
from include.ingest.records import LONGEST_RECORD, Block, whole_records
from include.ingest.redaction import redacted, redacted_chunks
from include.ingest.times import is_plausible, to_utc
from include.objects import ByteStream
from include.sources import LogSource, Windowing
from include.sources.formats import LEVEL, LineFormat
from ml.templates import Batch

Said = TypeVar("Said", pl.Expr, pl.Series)

SEVERITIES = {
    "TRACE": "TRACE", "FINER": "TRACE", "FINEST": "TRACE",
    "DEBUG": "DEBUG", "FINE": "DEBUG", "CONFIG": "DEBUG",
    "INFO": "INFO", "INFORMATION": "INFO",
    "NOTICE": "NOTICE",
    "WARN": "WARN", "WARNING": "WARN",
    "ERROR": "ERROR", "ERR": "ERROR", "SEVERE": "ERROR", "FAILURE": "ERROR",
    "CRITICAL": "CRITICAL", "CRIT": "CRITICAL",
    # Android's letters.
    "V": "TRACE", "D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL",
    "FATAL": "FATAL", "ALERT": "FATAL", "EMERG": "FATAL", "PANIC": "FATAL",
}  # fmt: skip
# The last digit of a syslog priority (RFC 5424, 6.2.1).
SYSLOG_SEVERITIES = ["FATAL", "FATAL", "CRITICAL", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG"]
# What a program writes first of its own accord: `WARN …`, `[error] …`, `info: …`, or a JSON level.
LEADING_LEVEL = rf"^\[?((?:{LEVEL})\b|(?i:{LEVEL})[\]:])"
JSON_LEVEL = r"""^\{.*"(?:level|severity|lvl)": *"(\w+)\""""


@dataclass(frozen=True, slots=True)
class ParsedChunk:
    """lines_read = len(events) + lines_continued + len(quarantined).

    events: the columns of PARSED_SCHEMA; quarantined: those of QUARANTINE_SCHEMA.
    """

    events: pl.DataFrame
    quarantined: pl.DataFrame
    lines_read: int
    lines_continued: int

    @property
    def messages(self) -> Batch:
        """Of the events; by one thread, since tasks take the batches of a run beside each other."""
        return Batch(self.events["message"], threads=1)


def parse_chunks(
    stream: ByteStream,
    source: LogSource,
    object_key: str,
    stored_utc: datetime,
    chunk_lines: int,
    *,
    find_sessions: bool = True,
) -> Iterator[ParsedChunk]:
    """The events of one object. Raises UnreadableObject where it is damaged.

    find_sessions: whether to search the messages for session keys, which are null otherwise.
    """
    windowing = source.windowing if find_sessions else None
    read_headers = HeaderReader(source.line_format)
    lines = read_lines(stream, chunk_lines)
    if source.redact:
        lines = redacted_chunks(lines, source.redact)
    for block in whole_records(lines, read_headers):
        yield _parse_block(block, source, windowing, object_key, stored_utc)


def _parse_block(
    block: Block,
    source: LogSource,
    windowing: Windowing | None,
    object_key: str,
    stored_utc: datetime,
) -> ParsedChunk:
    lines = block.lines.with_columns(
        line_number=pl.int_range(pl.len()) + block.first_line_number,
        record=pl.col("is_start").cum_sum().cast(pl.Int64),
        position=pl.int_range(pl.len()),
    )
    first = pl.when("is_start").then("position").forward_fill()
    lines = lines.with_columns(depth=pl.col("position") - first)
    heads, others = lines.filter("is_start"), lines.filter(~pl.col("is_start"))
    others = others.with_columns(reason=_reason_against_continuation(source, block.overruns))
    tails = others.filter(pl.col("reason").is_null())
    records = _joined(heads, tails, source.line_format)
    if source.redact:  # what a record's lines hold together may match where none did alone
        records = records.with_columns(redacted(pl.col("message"), source.redact))
    events = _typed(records, source, windowing, object_key, stored_utc)
    refused = events.filter(pl.col("reason").is_not_null())
    lost = tails.join(refused.select("record"), on="record", how="semi")
    quarantined = pl.concat(
        frame.select(pl.lit(object_key).alias("object_key"), "line_number", "reason", "line")
        for frame in (
            refused,
            others.filter(pl.col("reason").is_not_null()),
            lost.with_columns(reason=pl.lit("continues a record that is quarantined")),
        )
    )
    return ParsedChunk(
        events=events.filter(pl.col("reason").is_null()).drop("record", "line", "reason"),
        quarantined=quarantined.sort("line_number"),
        lines_read=len(lines),
        lines_continued=len(tails) - len(lost),
    )


def _reason_against_continuation(source: LogSource, overruns: bool) -> pl.Expr:
    """Why a line that starts no record does not continue one either; null where it does."""
    is_cri = source.line_format.kind == "cri"
    continuation = source.line_format.pattern if is_cri else source.continuation
    too_many = pl.lit(f"the record before has more than {LONGEST_RECORD} lines")
    return (
        pl.when(_is_too_long())
        .then(_too_long())
        .when(pl.col("line").str.strip_chars() == "")
        .then(None)
        .when(~pl.col("line").str.contains(continuation))
        .then(pl.lit(f"does not match the line format of source {source.name}"))
        .when(pl.col("record") == 0)
        .then(too_many if overruns else pl.lit("no record starts before this line"))
        .when(pl.col("depth") >= LONGEST_RECORD)
        .then(too_many)
    )


def _is_too_long() -> pl.Expr:
    return pl.col("line").str.len_chars() > LONGEST_LINE


def _too_long() -> pl.Expr:
    return pl.lit(f"the line is longer than {LONGEST_LINE} characters")


def _joined(heads: pl.DataFrame, tails: pl.DataFrame, line_format: LineFormat) -> pl.DataFrame:
    """The messages with the lines that continue them."""
    said = tails.filter(pl.col("line").str.strip_chars() != "")
    if said.is_empty():
        return heads
    glue, text = ("", "message") if line_format.kind == "cri" else ("\n", "line")
    rest = said.group_by("record", maintain_order=True).agg(rest=pl.col(text).str.join(glue))
    return heads.join(rest, on="record", how="left", maintain_order="left").with_columns(
        message=pl.when(pl.col("rest").is_null())
        .then(pl.col("message"))
        .otherwise(pl.concat_str("message", pl.lit(glue), "rest"))
    )


def _typed(
    events: pl.DataFrame,
    source: LogSource,
    windowing: Windowing | None,
    object_key: str,
    stored_utc: datetime,
) -> pl.DataFrame:
    """The columns of PARSED_SCHEMA, with `record`, `line` and the `reason` to refuse it or null."""
    typed = events.select(
        "record",
        "line",
        _times(events["time"], source, stored_utc).alias("event_time"),
        pl.lit(source.name).alias("source"),
        "host",
        _severity(events, source.line_format).alias("severity"),
        "component",
        _session_key(windowing).alias("session_key"),
        "message",
        pl.lit(object_key).alias("object_key"),
        "line_number",
        _reason_against_fields(source).alias("reason"),
    )
    return typed.with_columns(
        reason=pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .otherwise(_reason_against_time(source, stored_utc))
    )


def _session_key(windowing: Windowing | None) -> pl.Expr:
    if windowing is None or windowing.kind != "session":
        return pl.lit(None, pl.String)
    # Where the group is the whole expression, to search without groups takes half the time.
    if re.fullmatch(r"\((?!\?)[^()]*\)", windowing.key):
        return pl.col("message").str.extract(windowing.key[1:-1], 0)
    return pl.col("message").str.extract(windowing.key, 1)


def _times(text: pl.Series, source: LogSource, stored_utc: datetime) -> pl.Series:
    """In UTC."""
    formats, zone = source.line_format.time_formats, source.time_zone
    return _by_runs(text, lambda runs: to_utc(runs, formats, zone, stored_utc))


def _by_runs(text: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """What is read of each text. Neighbours often share theirs, which is then read once."""
    runs = text.rle().struct.field("value")
    return read(runs).gather(text.rle_id())


def _severity(events: pl.DataFrame, line_format: LineFormat) -> pl.Expr | pl.Series:
    if line_format.kind == "access":
        status = pl.col("status").cast(pl.Int64, strict=False)
        return (
            pl.when(status >= 500)
            .then(pl.lit("ERROR"))
            .when(status >= 400)
            .then(pl.lit("WARN"))
            .otherwise(pl.lit("INFO"))
        )
    if "priority" in events.columns:
        level = pl.col("priority").cast(pl.Int64, strict=False) % 8
        return level.replace_strict(
            dict(enumerate(SYSLOG_SEVERITIES)), default=None, return_dtype=pl.String
        )
    if line_format.kind == "cri":
        message = pl.col("message")
        said = pl.coalesce(message.str.extract(LEADING_LEVEL), message.str.extract(JSON_LEVEL))
        return _known_severity(said.str.strip_chars_end("]:"))
    return _by_runs(events["severity"], _known_severity)


def _known_severity(said: Said) -> Said:
    return said.str.to_uppercase().replace_strict(SEVERITIES, default=None, return_dtype=pl.String)


def _reason_against_fields(source: LogSource) -> pl.Expr:
    is_json = source.line_format.kind == "json"
    told = "the line is no JSON object with a time" if is_json else "the line has no time"
    return (
        pl.when(_is_too_long())
        .then(_too_long())
        .when(pl.col("time").is_null())
        .then(pl.lit(told))
        .when(pl.col("message").is_null())
        .then(pl.lit("the record holds no message"))
    )


def _reason_against_time(source: LogSource, stored_utc: datetime) -> pl.Expr:
    formats = " or ".join(source.line_format.time_formats)
    return (
        pl.when(pl.col("event_time").is_null())
        .then(pl.lit(f"the time is not {formats}, or never was in {source.time_zone}"))
        .when(~is_plausible(pl.col("event_time"), stored_utc))
        .then(pl.lit("the time is before 1990 or over a day after the object was stored"))
    )
