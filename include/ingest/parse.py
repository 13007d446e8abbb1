"""From lines to events: the header's fields as columns, and the rest to the quarantine.

Every line read is accounted for: it starts an event, continues one, or is quarantined with a
reason. The result does not depend on the size of the chunks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from include.ingest.decode import LONGEST_LINE, read_lines
from include.ingest.records import LONGEST_RECORD, Block, whole_records
from include.ingest.times import is_plausible, to_utc
from include.objects import ByteStream
from include.sources import LogSource
from include.sources.formats import GROUPS, LineFormat

SEVERITIES = {
    "TRACE": "TRACE", "FINER": "TRACE", "FINEST": "TRACE",
    "DEBUG": "DEBUG", "FINE": "DEBUG", "CONFIG": "DEBUG",
    "INFO": "INFO", "INFORMATION": "INFO",
    "NOTICE": "NOTICE",
    "WARN": "WARN", "WARNING": "WARN",
    "ERROR": "ERROR", "ERR": "ERROR", "SEVERE": "ERROR", "FAILURE": "ERROR",
    "CRITICAL": "CRITICAL", "CRIT": "CRITICAL",
    "FATAL": "FATAL", "ALERT": "FATAL", "EMERG": "FATAL", "PANIC": "FATAL",
}  # fmt: skip
# The last digit of a syslog priority (RFC 5424, 6.2.1).
SYSLOG_SEVERITIES = ["FATAL", "FATAL", "CRITICAL", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG"]
JSON_FIELDS = {
    "time": ("time", "timestamp", "ts", "@timestamp", "datetime", "asctime"),
    "severity": ("level", "severity", "lvl", "levelname", "log.level"),
    "component": ("logger", "name", "component", "module"),
    "host": ("host", "hostname"),
    "message": ("message", "msg", "log", "event"),
}


@dataclass(frozen=True, slots=True)
class ParsedChunk:
    """lines_read = len(events) + lines_continued + len(quarantined).

    events: the columns of PARSED_SCHEMA; quarantined: those of QUARANTINE_SCHEMA.
    """

    events: pl.DataFrame
    quarantined: pl.DataFrame
    lines_read: int
    lines_continued: int


def parse_chunks(
    stream: ByteStream,
    source: LogSource,
    object_key: str,
    stored_utc: datetime,
    chunk_lines: int,
) -> Iterator[ParsedChunk]:
    """The events of one object. Raises UnreadableObject where it is damaged."""
    line_format = source.line_format

    def starts_record(lines: pl.Series) -> pl.Series:
        matches = lines.str.contains(line_format.pattern)
        return matches & ~_continues_partial(lines, line_format) if is_cri else matches

    is_cri = line_format.kind == "cri"
    for block in whole_records(read_lines(stream, chunk_lines), starts_record):
        yield _parse_block(block, source, object_key, stored_utc)


def _parse_block(
    block: Block, source: LogSource, object_key: str, stored_utc: datetime
) -> ParsedChunk:
    lines = _with_roles(block, source)
    heads = lines.filter(pl.col("role") == "start")
    tails = lines.filter(pl.col("role") == "continuation")
    events = _headers(heads, source.line_format)
    if len(tails.filter(pl.col("line") != "")):
        events = _joined(events, tails, source.line_format)
    events = _typed(events, source, object_key, stored_utc)
    reason = _reason_against(source, stored_utc)
    refused = events.with_columns(reason=reason).filter(pl.col("reason").is_not_null())
    lost_tails = tails.join(refused.select("record"), on="record", how="semi")
    quarantined = pl.concat(
        [
            lines.filter(pl.col("role") == "refused").select("line_number", "reason", "line"),
            refused.select("line_number", "reason", "line"),
            lost_tails.select(
                "line_number",
                pl.lit("continues a record that is quarantined").alias("reason"),
                "line",
            ),
        ]
    ).sort("line_number")
    return ParsedChunk(
        events=events.join(
            refused.select("record"), on="record", how="anti", maintain_order="left"
        ).drop("record", "line"),
        quarantined=quarantined.select(
            pl.lit(object_key).alias("object_key"), "line_number", "reason", "line"
        ),
        lines_read=len(lines),
        lines_continued=len(tails) - len(lost_tails),
    )


def _with_roles(block: Block, source: LogSource) -> pl.DataFrame:
    """`line_number`, `line`, `record`, and the line's `role`: start, continuation or refused."""
    too_long = pl.col("line").str.len_chars() > LONGEST_LINE
    position = pl.int_range(pl.len()).over("record")
    in_record = pl.col("record") > 0
    continues = (
        pl.col("line").str.contains(source.continuation)
        if source.line_format.kind != "cri"
        else pl.col("line").str.contains(source.line_format.pattern)
    )
    blank = pl.col("line").str.strip_chars() == ""
    orphan = (
        f"the record before has more than {LONGEST_RECORD} lines"
        if block.overruns
        else "no record starts before this line"
    )
    reason = (
        pl.when(too_long)
        .then(pl.lit(f"the line is longer than {LONGEST_LINE} characters"))
        .when(pl.col("is_start") | blank)
        .then(None)
        .when(~continues)
        .then(pl.lit(f"does not match the line format of source {source.name}"))
        .when(~in_record)
        .then(pl.lit(orphan))
        .when(position >= LONGEST_RECORD)
        .then(pl.lit(f"the record before has more than {LONGEST_RECORD} lines"))
    )
    return (
        pl.DataFrame({"line": block.lines, "is_start": block.is_start})
        .with_columns(
            line_number=pl.int_range(pl.len()) + block.first_line_number,
            record=pl.col("is_start").cum_sum().cast(pl.Int64),
        )
        .with_columns(reason=reason)
        .with_columns(
            role=pl.when(pl.col("reason").is_not_null())
            .then(pl.lit("refused"))
            .when(pl.col("is_start"))
            .then(pl.lit("start"))
            .otherwise(pl.lit("continuation"))
        )
    )


def _headers(heads: pl.DataFrame, line_format: LineFormat) -> pl.DataFrame:
    """The header's groups as columns of text, null where the format has no such group."""
    if line_format.kind == "json":
        return heads.select("record", "line", "line_number").hstack(_json_fields(heads["line"]))
    fields = heads.select(
        "record",
        "line",
        "line_number",
        pl.col("line").str.extract_groups(line_format.pattern).alias("fields"),
    ).unnest("fields")
    absent = [pl.lit(None, pl.String).alias(name) for name in GROUPS if name not in fields.columns]
    return fields.with_columns(absent)


def _joined(events: pl.DataFrame, tails: pl.DataFrame, line_format: LineFormat) -> pl.DataFrame:
    """The messages with the lines that continue them."""
    glue = "\n"
    if line_format.kind == "cri":
        glue = ""
        tails = tails.with_columns(
            line=pl.col("line").str.extract_groups(line_format.pattern).struct.field("message")
        )
    rest = (
        tails.filter(pl.col("line").str.strip_chars() != "")
        .group_by("record", maintain_order=True)
        .agg(rest=pl.col("line").str.join(glue))
    )
    return (
        events.join(rest, on="record", how="left", maintain_order="left")
        .with_columns(
            message=pl.when(pl.col("rest").is_null())
            .then(pl.col("message"))
            .otherwise(pl.concat_str("message", pl.lit(glue), "rest"))
        )
        .drop("rest")
    )


def _typed(
    events: pl.DataFrame, source: LogSource, object_key: str, stored_utc: datetime
) -> pl.DataFrame:
    line_format = source.line_format
    times = to_utc(events["time"], line_format.time_formats, source.time_zone, stored_utc)
    key = source.windowing.key if source.windowing.kind == "session" else None
    return events.select(
        "record",
        "line",
        times.alias("event_time"),
        pl.lit(source.name).alias("source"),
        "host",
        _severity(events, line_format).alias("severity"),
        "component",
        (pl.col("message").str.extract(key, 1) if key else pl.lit(None, pl.String)).alias(
            "session_key"
        ),
        "message",
        pl.lit(object_key).alias("object_key"),
        "line_number",
    )


def _severity(events: pl.DataFrame, line_format: LineFormat) -> pl.Expr:
    if line_format.kind == "access":
        status = pl.col("status").cast(pl.Int64)
        return (
            pl.when(status >= 500)
            .then(pl.lit("ERROR"))
            .when(status >= 400)
            .then(pl.lit("WARN"))
            .otherwise(pl.lit("INFO"))
        )
    if "priority" in events.columns:
        level = pl.col("priority").cast(pl.Int64) % 8
        return level.replace_strict(dict(enumerate(SYSLOG_SEVERITIES)), return_dtype=pl.String)
    return (
        pl.col("severity")
        .str.to_uppercase()
        .replace_strict(SEVERITIES, default=None, return_dtype=pl.String)
    )


def _reason_against(source: LogSource, stored_utc: datetime) -> pl.Expr:
    formats = " or ".join(source.line_format.time_formats)
    return (
        pl.when(pl.col("event_time").is_null())
        .then(pl.lit(f"the time is not {formats}"))
        .when(~is_plausible(pl.col("event_time"), stored_utc))
        .then(pl.lit("the time is before 1990 or over a day after the object was stored"))
        .when(pl.col("message").is_null())
        .then(pl.lit("the record holds no message"))
    )


def _continues_partial(lines: pl.Series, line_format: LineFormat) -> pl.Series:
    """Kubernetes cuts long records: a line after one tagged P of the same stream goes on with
    it. Parts with another stream's lines between them stay apart."""
    fields = lines.str.extract_groups(line_format.pattern)
    stream, tag = fields.struct.field("stream"), fields.struct.field("tag")
    return ((tag.shift() == "P") & (stream == stream.shift())).fill_null(False)


def _json_fields(lines: pl.Series) -> pl.DataFrame:
    rows = [_json_row(line) for line in lines]
    return pl.DataFrame(rows, schema=dict.fromkeys(GROUPS, pl.String), orient="row")


def _json_row(line: str) -> tuple[str | None, ...]:
    """The fields under their usual names; what is left over follows the message as key=value, so
    that nothing is lost."""
    try:
        record = json.loads(line)
    except ValueError:
        return (None,) * len(GROUPS)
    found: dict[str, str | None] = {}
    for group in GROUPS:
        name = next((name for name in JSON_FIELDS[group] if name in record), None)
        value = record.pop(name) if name is not None else None
        found[group] = value if value is None or isinstance(value, str) else json.dumps(value)
    rest = " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in record.items()
    )
    message = " ".join(part for part in (found["message"], rest) if part)
    storable = message.replace("\x00", "\u2400") if "\x00" in message else message
    found["message"] = storable or None
    return tuple(found[group] for group in GROUPS)
