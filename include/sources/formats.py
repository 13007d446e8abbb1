"""Line formats: how the header of a log line reads.

A format is a regular expression with named groups, in the syntax that Python's `re` and the Rust
engine behind the parser share: no look-around, no back-references. Groups that mean something are
`time`, `host`, `severity`, `component` and `message`; others are ignored.
"""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]  # the tree of an expression
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

GROUPS = ("time", "host", "severity", "component", "message")


_NESTING = {
    _constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.SUBPATTERN, _constants.BRANCH,
}  # fmt: skip
# What Rust's engine lacks, or reads in another way than Python's.
NOT_SHARED = re.compile(r"\(\?(?:<?[=!]|>|\(|P=|#)|\\[1-9]|\\Z|[*+?}]\+")


def check_pattern(pattern: str) -> str:
    """The pattern, if both engines read it. Raises ValueError that says what is wrong with it."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    without_escapes = re.sub(r"\\[^1-9Z]", "x", pattern)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", without_escapes)
    if found := NOT_SHARED.search(bare):
        raise ValueError(
            f"{pattern!r} holds {found[0]!r}: write it without look-around, back-references, "
            "atomic groups and possessive repeats"
        )
    return pattern


def weight(pattern: str) -> int:
    """How many characters an expression holds with its repeats written out: so many places of it,
    at worst, a search looks at for each character of a text."""
    return _weight(_parser.parse(pattern))


def _weight(part: Any) -> int:
    if isinstance(part, _parser.SubPattern):
        return sum(_weight(about) if what in _NESTING else 1 for what, about in part)
    match part:
        case (low, high, repeated) if isinstance(repeated, _parser.SubPattern):
            times = max(low, 1) if high is _constants.MAXREPEAT else high
            return int(times) * _weight(repeated)
        case (None, [*branches]):
            return sum(_weight(each) for each in branches)
        case _:
            return _weight(part[-1])  # a group


class LineFormat(BaseModel):
    """How one line reads.

    time: `iso8601`, `epoch` (seconds, milli-, micro- or nanoseconds, told apart by size), or one
        or more strptime formats. `%Y`-less ones take the year from when the object was stored.
    kind: `text`, or what needs more than an expression: `json` lines, `access` logs and `cri`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    time: str | tuple[str, ...]
    kind: Literal["text", "json", "access", "cri"] = "text"

    @field_validator("pattern")
    @classmethod
    def _has_groups(cls, pattern: str) -> str:
        groups = re.compile(check_pattern(pattern)).groupindex
        if "message" not in groups or "time" not in groups:
            raise ValueError("the pattern needs the named groups `time` and `message`")
        return pattern

    @model_validator(mode="after")
    def _has_groups_of_its_kind(self) -> LineFormat:
        needed = {"access": {"status"}, "cri": {"stream", "tag"}}.get(self.kind, set())
        if missing := needed - set(re.compile(self.pattern).groupindex):
            raise ValueError(f"the kind {self.kind} needs the groups: {', '.join(sorted(missing))}")
        return self

    @property
    def time_formats(self) -> tuple[str, ...]:
        return (self.time,) if isinstance(self.time, str) else self.time


ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
LEVEL = (
    r"TRACE|DEBUG|FINE|FINER|FINEST|CONFIG|INFO|INFORMATION|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|"
    r"CRITICAL|CRIT|FATAL|ALERT|EMERG|PANIC"
)
QUOTED = r'"(?:[^"\\]|\\.)*"'
MONTH_DAY = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"

# What stack traces and wrapped messages look like: indented lines, and the few unindented ones
# that Java and Python print.
CONTINUATION = (
    r"^(?:\s|Caused by:|Suppressed:|Traceback \(most recent|\.\.\. \d+ |"
    r"During handling of the above|The above exception was|"
    r"[\w.$]+(?:Error|Exception|Warning|Interrupt|Exit)(?::|$))"
)

PRESETS: dict[str, LineFormat] = {
    "hdfs": LineFormat(
        pattern=(
            r"^(?P<time>\d{6} \d{6}) \d+ (?P<severity>[A-Z]+) (?P<component>[^:\s]+):"
            r"(?: |$)(?P<message>.*)$"
        ),
        time="%y%m%d %H%M%S",
    ),
    # The first column is the operators' verdict on the line and no part of the event.
    "bgl": LineFormat(
        pattern=(
            r"^\S+ \d+ \d{4}\.\d\d\.\d\d \S+ (?P<time>\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d+) "
            r"(?P<host>\S+) \S+ (?P<component>\S+) (?P<severity>[A-Z]+) ?(?P<message>.*)$"
        ),
        time="%Y-%m-%d-%H.%M.%S%.f",
    ),
    # The thread stands before the level or after it, or, with Spring, after the process's number.
    "log4j": LineFormat(
        pattern=(
            rf"^(?P<time>{ISO}|\d\d/\d\d/\d\d \d\d:\d\d:\d\d) +(?:\[[^\]]*\] +)?"
            rf"\[?(?P<severity>{LEVEL})\]? +(?:\d+ +--- +)?(?:\[[^\]]*\] +)*"
            r"(?P<component>[\w.$/-]+)(?: +\[[^\]]*\])?(?: *:| -)(?: |$)(?P<message>.*)$"
        ),
        time=("iso8601", "%y/%m/%d %H:%M:%S"),
    ),
    "python": LineFormat(
        pattern=(
            rf"^(?P<time>{ISO}) *(?:- |:|\| )? *(?:(?P<component>[\w.-]+) *(?:- |:|\| ) *)?"
            rf"\[?(?P<severity>{LEVEL})\b\]? *(?:- |:|\| )? *(?P<message>.*)$"
        ),
        time="iso8601",
    ),
    "syslog_rfc3164": LineFormat(
        pattern=(
            rf"^(?:<(?P<priority>\d{{1,3}})>)?(?P<time>{MONTH_DAY}) (?P<host>\S+) "
            r"(?P<component>[^\s:\[]+(?: [^\s:\[(]+)?)(?:\[\d+\])?(?: \([^)]*\))?: ?"
            r"(?P<message>.*)$"
        ),
        time="%b %e %H:%M:%S",
    ),
    "syslog_rfc5424": LineFormat(
        pattern=(
            rf"^<(?P<priority>\d{{1,3}})>\d+ (?P<time>{ISO}) (?:-|(?P<host>\S+)) "
            r"(?:-|(?P<component>\S+)) \S+ \S+ (?:-(?: |$))?(?P<message>.*)$"
        ),
        time="iso8601",
    ),
    "nginx_access": LineFormat(
        pattern=(
            r"^(?P<host>\S+) \S+ \S+ \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d "
            r"[+-]\d{4})\] "
            rf"(?P<message>{QUOTED} (?P<status>\d{{3}}) \S+ {QUOTED} {QUOTED}.*)$"
        ),
        time="%d/%b/%Y:%H:%M:%S %z",
        kind="access",
    ),
    "apache_access": LineFormat(
        pattern=(
            r"^(?P<host>\S+) \S+ \S+ \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d "
            r"[+-]\d{4})\] "
            rf"(?P<message>{QUOTED} (?P<status>\d{{3}}) \S+.*)$"
        ),
        time="%d/%b/%Y:%H:%M:%S %z",
        kind="access",
    ),
    # F ends a record; the P lines before it are its parts.
    "kubernetes_cri": LineFormat(
        pattern=rf"^(?P<time>{ISO}) (?P<stream>stdout|stderr) (?P<tag>[PF]) (?P<message>.*)$",
        time="iso8601",
        kind="cri",
    ),
    "json": LineFormat(
        pattern=r"^(?P<message>\{.*(?P<time>\}))\s*$",
        time=("iso8601", "epoch"),
        kind="json",
    ),
}
