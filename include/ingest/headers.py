"""From lines to the fields of their headers, still as text."""

from __future__ import annotations

import json
import re

import polars as pl

from include.sources.formats import GROUPS, LineFormat

JSON_FIELDS = {
    "time": ("time", "timestamp", "ts", "@timestamp", "datetime", "asctime"),
    "severity": ("level", "severity", "lvl", "levelname", "log.level"),
    "component": ("logger", "name", "component", "module"),
    "host": ("host", "hostname"),
    "message": ("message", "msg", "log", "event"),
}
# Read besides GROUPS where a preset has them: what a severity is made of, and Kubernetes' parts.
AUXILIARY = ("priority", "status", "stream", "tag")
MESSAGE_TO_END = "(?P<message>.*)$"


class HeaderReader:
    """Reads lines, given in order, into a frame of one row a line.

    Columns: `line`; `is_start`, whether the line starts a record; GROUPS and the AUXILIARY groups
    of the format, all strings, null where the line has none.
    """

    def __init__(self, line_format: LineFormat) -> None:
        self._format = line_format
        self._fields = (_Json if line_format.kind == "json" else _Expression)(line_format.pattern)
        self._last_part: dict[str, str | None] = {"stream": None, "tag": None}

    def __call__(self, lines: pl.Series) -> pl.DataFrame:
        frame = self._fields(lines)
        if self._format.kind != "cri" or frame.is_empty():
            return frame
        continues = self._continues(frame)
        self._last_part = frame.select("stream", "tag").row(-1, named=True)
        return frame.with_columns(is_start=pl.col("is_start") & ~continues)

    def _continues(self, frame: pl.DataFrame) -> pl.Series:
        """Kubernetes cuts long records: a line after one tagged P of the same stream goes on with
        it. Parts with another stream's lines between them stay apart."""
        before = {
            name: pl.concat([pl.Series([part], dtype=pl.String), frame[name][:-1]])
            for name, part in self._last_part.items()
        }
        same_stream = before["stream"] == frame["stream"]
        return ((before["tag"] == "P") & same_stream).fill_null(False)


class _Expression:
    """Reads the groups of a format's regular expression."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._names = [
            name for name in re.compile(self._pattern).groupindex if name in (*GROUPS, *AUXILIARY)
        ]
        self._header = _header_of(self._pattern)

    def __call__(self, lines: pl.Series) -> pl.DataFrame:
        lines = lines.alias("line")
        if self._header is None:
            groups = lines.str.extract_groups(self._pattern).struct.unnest()
            fields = groups.select(self._names)
            is_start = lines.str.contains(self._pattern)
        else:
            groups = lines.str.extract_groups(self._header).struct.unnest()
            is_start = groups["header"].is_not_null()
            both = pl.DataFrame([lines, groups["header"]])
            rest = pl.col("line").str.strip_prefix(pl.col("header"))
            message = both.select(pl.when(is_start).then(rest).alias("message")).to_series()
            fields = groups.with_columns(message).select(self._names)
        absent = [pl.lit(None, pl.String).alias(name) for name in GROUPS if name not in self._names]
        return pl.DataFrame([lines, is_start.alias("is_start")]).hstack(fields).with_columns(absent)


def _header_of(pattern: str) -> str | None:
    """The same pattern without the message, where that is just the rest of the line: not to walk
    through the message halves the time. None where the pattern is built in another way."""
    header = pattern.removesuffix(MESSAGE_TO_END)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", re.sub(r"\\.", "x", header))
    while (outer := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = outer
    if header == pattern or not header.startswith("^") or "|" in bare or "(?P<header>" in header:
        return None
    return f"(?P<header>{header})"


class _Json:
    """Reads one JSON object a line."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __call__(self, lines: pl.Series) -> pl.DataFrame:
        is_start = lines.str.contains(self._pattern)
        nothing = (None,) * len(GROUPS)
        rows = [
            _json_row(line) if is_object else nothing
            for line, is_object in zip(lines, is_start, strict=True)
        ]
        fields = pl.DataFrame(rows, schema=dict.fromkeys(GROUPS, pl.String), orient="row")
        return pl.DataFrame([lines.alias("line"), is_start.alias("is_start")]).hstack(fields)


def _json_row(line: str) -> tuple[str | None, ...]:
    """The fields under their usual names; what is left over follows the message as key=value, so
    that nothing is lost. All null where the line is no JSON."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        return (None,) * len(GROUPS)
    found: dict[str, str | None] = {}
    for group in GROUPS:
        name = next((name for name in JSON_FIELDS[group] if record.get(name) is not None), None)
        found[group] = None if name is None else _storable(record.pop(name))
    rest = " ".join(f"{_storable(key)}={_storable(value)}" for key, value in record.items())
    found["message"] = " ".join(part for part in (found["message"], rest) if part) or None
    return tuple(found[group] for group in GROUPS)


def _storable(value: object) -> str:
    """A JSON value as text that a database column holds: no NUL, no half of a surrogate pair."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\x00", "\u2400").encode(errors="replace").decode()
