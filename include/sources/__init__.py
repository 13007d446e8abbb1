"""Log sources: where their objects lie, how a line reads, and how events become windows.

A source is a YAML file. Where do I go to…
- add one? A file in this folder, or in any folder of `LOGANALYZER_SOURCES_PATH`; the smallest says
  `name`, `format` and `windowing`.
- add a line format that many systems share? `formats.py`.
- change how a format is recognised? `detect.py`.
- change what kinds of secrets `redact:` knows? `redaction.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from include.sources.formats import CONTINUATION, PRESETS, LineFormat, check_pattern, weight
from include.sources.redaction import KINDS, Redaction, expand_kinds

if TYPE_CHECKING:
    from ml.windows import WindowRule

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class InvalidSource(ValueError):
    """A source file that cannot be used; the message names the file, the field and what it
    should hold."""


def parse_duration(value: Any) -> Any:
    """`90s`, `30m`, `6h` or `1d` as a timedelta; other types are left to pydantic."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,9})([smhd])", value)
    if not found:
        raise ValueError(f"{value!r} is no duration: write a number and s, m, h or d, as in 30m")
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def write_duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    unit = next(u for u in ("d", "h", "m", "s") if seconds % UNITS[u] == 0)
    return f"{seconds // UNITS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration),
    Field(gt=timedelta(0)),
]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionWindowing(_Document):
    """Events of one key, until nothing comes for `idle_timeout`.

    `key` is a regular expression with one group, found in the message.
    """

    kind: Literal["session"]
    key: str
    idle_timeout: Duration
    longest_span: Duration

    @field_validator("key")
    @classmethod
    def _one_group(cls, key: str) -> str:
        if re.compile(check_pattern(key)).groups != 1:
            raise ValueError(f"{key!r} needs exactly one group: the part that names the session")
        return key

    @property
    def rule(self) -> WindowRule:
        from ml.windows import SessionRule

        return SessionRule(self.idle_timeout, self.longest_span)


class TimeWindowing(_Document):
    """Windows of `size`, one every `step`."""

    kind: Literal["time"]
    size: Duration
    step: Duration

    @model_validator(mode="after")
    def _no_gaps(self) -> TimeWindowing:
        if self.step > self.size:
            raise ValueError("step is longer than size: events between the windows would be lost")
        return self

    @property
    def rule(self) -> WindowRule:
        from ml.windows import TimeRule

        return TimeRule(self.size, self.step)


class CountWindowing(_Document):
    """Windows of `size` events, one every `step` events, counted anew each UTC day."""

    kind: Literal["count"]
    size: int = Field(gt=0)
    step: int = Field(gt=0)

    @model_validator(mode="after")
    def _no_gaps(self) -> CountWindowing:
        if self.step > self.size:
            raise ValueError("step is larger than size: events between the windows would be lost")
        return self

    @property
    def rule(self) -> WindowRule:
        from ml.windows import CountRule

        return CountRule(self.size, self.step)


Windowing = Annotated[
    SessionWindowing | TimeWindowing | CountWindowing, Field(discriminator="kind")
]


class LogSource(_Document):
    """One kind of log: a prefix in the bucket, a line format and a rule for windows."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    prefix: str = Field(default="", description="below the bucket `logs`; by default `<name>/`")
    format: str | LineFormat
    time_zone: str = Field(default="UTC", description="IANA zone of times that carry none")
    continuation: str = Field(
        default=CONTINUATION,
        description="lines that start no record but match this continue the one before; others "
        "are quarantined",
    )
    windowing: Windowing
    masks: tuple[str, ...] = Field(
        default=(), description="regular expressions of further variable parts of messages"
    )
    redact: Annotated[tuple[Redaction, ...], BeforeValidator(expand_kinds)] = Field(
        default=(), description="kinds of values that are masked before anything is stored"
    )

    @model_validator(mode="before")
    @classmethod
    def _prefix_from_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("name"), str) and not data.get("prefix"):
            return {**data, "prefix": f"{data['name']}/"}
        return data

    @field_validator("format")
    @classmethod
    def _known_preset(cls, value: str | LineFormat) -> str | LineFormat:
        if isinstance(value, str) and value not in PRESETS:
            raise ValueError(f"no preset {value!r}; there are: {', '.join(sorted(PRESETS))}")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no IANA time zone such as Europe/Berlin") from error
        return value

    @field_validator("continuation")
    @classmethod
    def _valid_pattern(cls, pattern: str) -> str:
        return check_pattern(pattern)

    @field_validator("masks")
    @classmethod
    def _valid_masks(cls, masks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_pattern(mask) for mask in masks)

    @property
    def line_format(self) -> LineFormat:
        return PRESETS[self.format] if isinstance(self.format, str) else self.format

    @property
    def weight(self) -> int:
        """Of all the expressions that it brings itself, see `formats.weight`."""
        known = {
            CONTINUATION,
            *(each.pattern for each in PRESETS.values()),
            *(each for kind in KINDS.values() for each in kind),
        }
        said = [self.line_format.pattern, self.continuation, *self.masks]
        said += [each.pattern for each in self.redact]
        if self.windowing.kind == "session":
            said.append(self.windowing.key)
        return sum(weight(each) for each in said if each not in known)


def load_sources(folders: Iterable[Path]) -> dict[str, LogSource]:
    """The sources of all YAML files in the folders, by name; a later folder's replaces an
    earlier one's. Raises InvalidSource."""
    sources: dict[str, LogSource] = {}
    for folder in folders:
        paths: dict[str, Path] = {}
        for path in sorted(folder.glob("*.yaml")):
            source = load_source(path)
            if source.name in paths:
                raise InvalidSource(
                    f"{path}: name: {source.name!r} is taken by {paths[source.name].name}; give "
                    "each source of a folder a name of its own"
                )
            paths[source.name] = path
            sources[source.name] = source
    return dict(sorted(sources.items()))


def sources_at_hand(folders: Sequence[Path]) -> dict[str, LogSource]:
    """The same, for a process that asks often: files are read again where one has changed, come or
    gone. Raises InvalidSource."""
    files = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return _kept(tuple(folders), tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=4)
def _kept(folders: tuple[Path, ...], files: tuple[tuple[Path, int], ...]) -> dict[str, LogSource]:
    return load_sources(folders)


def load_source(path: Path) -> LogSource:
    """The source that a YAML file describes. Raises InvalidSource."""
    return read_source(path.read_text(), str(path))


def read_source(text: str, called: str) -> LogSource:
    """The source that a YAML text describes. Raises InvalidSource, which calls the text so and
    names line and field of each fault."""
    try:
        # A few aliases of aliases stand for more than fits into memory.
        if any(isinstance(each, yaml.AliasToken) for each in yaml.scan(text, yaml.SafeLoader)):
            raise ValueError("aliases (*) are not read: write out what they stand for")
        return LogSource.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        document = yaml.compose(text, yaml.SafeLoader)
        faults = [
            f"{called}: line {_line_of(document, fault['loc'])}: "
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise InvalidSource("\n".join(faults)) from error
    # Values that look like dates and are none, and brackets without end.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidSource(f"{called}: not valid YAML: {error}") from error


def _line_of(node: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """The line of the innermost field of a place that is there; a place also names the kind that a
    field was taken for."""
    line = 1
    for part in place:
        inside = _inside(node, part)
        if inside is not None:
            node, line = inside
    return line


def _inside(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    """What a field holds, and its line."""
    if isinstance(node, yaml.MappingNode):
        return next(
            ((value, key.start_mark.line + 1) for key, value in node.value if key.value == part),
            None,
        )
    # A place may count what the name of a kind stands for: more than there are.
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line + 1
    return None


def dump_source(source: LogSource) -> str:
    """The YAML text of a source, which `load_source` reads back."""
    document = source.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
