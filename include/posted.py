"""A log that somebody sends: read and judged now, and nothing of it kept.

It goes the way of the nightly runs: parsed and redacted as its source says, its templates found in
the catalogue (what is new is mined in memory), cut into windows, judged by the champion. Where
there is none, its windows are judged against each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from io import SEEK_END
from itertools import islice, pairwise
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from include import tracking
from include.database import catalogue
from include.database.anomalies import Anomaly
from include.ingest.decode import GZIP_MAGIC, ZSTD_MAGIC
from include.ingest.parse import ParsedChunk, parse_chunks
from include.lake.events import no_events
from include.lake.parts import EVENTS_AT_ONCE, Shares
from include.scoring import window_rows
from include.sources import LogSource
from include.sources.detect import SAMPLE_LINES, propose_from
from include.tracking import RegisteredModel
from include.workspace import Workspace
from ml.model import Judgement, judge_without_model
from ml.templates import Catalogue, count_shapes, merge_shapes, numbers_of
from ml.templates.masking import mask_pattern
from ml.windows import (
    EVENT_COLUMNS,
    MICROSECOND,
    NUMBERS,
    SessionRule,
    TimeRule,
    Windows,
    closed_windows,
)

OBJECT_KEY = "posted"
# An answer is read by people: of longer texts and lists it holds so much.
SHOWN_TEXT = 2000
SHOWN_QUARANTINED = 20
SHOWN_TEMPLATES = 500
SHOWN_EVENTS = 20
SHOWN_COLUMNS = (
    "line_number", "event_time", "severity", "component", "session_key", "message",
)  # fmt: skip
# Bytes times the weight of what somebody has just written: expressions made to be slow take half a
# minute for it. To compile one takes its time however short the sample is.
MOST_WORK, LEAST_BYTES = 2 * 10**9, 10**5
COLUMNS = (*EVENT_COLUMNS, NUMBERS, "component", "message")

Chunks = Callable[[], Iterable[ParsedChunk]]
Document = dict[str, Any]


class Unfit(ValueError):
    """A log that cannot be judged like this; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log that was sent. read: its chunks from the first to the last, as often as asked.

    is_proposed: whether the source was made for it, as nobody has named one.
    """

    source: LogSource
    read: Chunks
    is_proposed: bool = False


@dataclass(slots=True)
class Tally:
    """What was read of a log: lines = events + continued + quarantined."""

    lines: int = 0
    events: int = 0
    continued: int = 0
    quarantined: int = 0
    first_quarantined: list[Document] = field(default_factory=list)
    first_time: datetime | None = None
    last_time: datetime | None = None

    def add(self, chunk: ParsedChunk) -> None:
        times = chunk.events["event_time"]
        known = [self.first_time, self.last_time, times.min(), times.max()]
        moments = [each for each in known if isinstance(each, datetime)]
        self.first_time, self.last_time = min(moments, default=None), max(moments, default=None)
        self.lines += chunk.lines_read
        self.events += len(chunk.events)
        self.continued += chunk.lines_continued
        self.quarantined += len(chunk.quarantined)
        wanted = SHOWN_QUARANTINED - len(self.first_quarantined)
        rows = chunk.quarantined.head(wanted).select("line_number", "reason", "line")
        for number, reason, line in rows.iter_rows():
            self.first_quarantined.append(
                {"line_number": number, "reason": reason, "text": shown(line)}
            )

    def account(self) -> Document:
        return {
            "lines": self.lines,
            "events": self.events,
            "lines_continued": self.continued,
            "lines_quarantined": self.quarantined,
            "quarantined": self.first_quarantined,
        }


def log_of(
    stream: BinaryIO,
    source: LogSource | None,
    chunk_lines: int,
    name: str = OBJECT_KEY,
    preset: str | None = None,
) -> Log:
    """The log in a stream that can be read from its start again; it is parsed each time anew.

    source: how it reads; found out where it is None, see `propose_from`. Raises Unfit for what is
    compressed, InvalidSource where no format fits.
    """
    head = stream.read(len(ZSTD_MAGIC))
    if head.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
        raise Unfit("this is compressed: send the text itself")
    is_proposed = source is None
    if source is None:
        stream.seek(0)
        source = propose_from(stream, name, name, preset).source
    read = partial(_parsed, stream, source, datetime.now(UTC), chunk_lines)
    return Log(source, read, is_proposed)


def sample_of(
    stream: BinaryIO, source: LogSource | None, name: str, preset: str | None = None
) -> Log:
    """The first lines of a log, under a source that is looked at; where it is None, one is proposed
    under a name, of a preset where that is named. Raises Unfit and InvalidSource.
    """
    if source is not None:
        length = stream.seek(0, SEEK_END)
        if source.weight * max(length, LEAST_BYTES) > MOST_WORK:
            raise Unfit("its expressions repeat too much: repeat less, or send fewer lines")
        stream.seek(0)
    log = log_of(stream, source, SAMPLE_LINES, name, preset)
    try:
        mask_pattern(log.source.masks)
        first = list(islice(log.read(), 1))
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise Unfit(f"its expressions or time formats cannot be used: {error}") from error
    return replace(log, read=lambda: first, is_proposed=True)


def held(log: Log) -> Log:
    """The same, parsed once and kept in memory: for small ones."""
    chunks = list(log.read())
    return replace(log, read=lambda: chunks)


def judge(workspace: Workspace, log: Log) -> Iterator[Document]:
    """The anomalies of a log as they are found, of each part the oddest first; the last document
    is a summary of it. `kind` tells them apart.

    A large log is judged in parts, so that memory is bounded. Raises Unfit where that cannot be.
    """
    registered = None if log.is_proposed else _champion(workspace, log.source)
    tally, templates = Tally(), Templates.of(workspace, log)
    templates.learn(log, tally)
    parts = -(-tally.events // EVENTS_AT_ONCE)
    if parts > 1 and registered is None:
        raise Unfit(
            f"{tally.events:,} events and no champion to judge them by: send at most "
            f"{EVENTS_AT_ONCE:,}, or train a model of the source first"
        )
    family = registered.model.family if registered else "novelty"
    threshold = registered.model.threshold if registered else 0.0
    windows = anomalies = 0
    for events, start, end in _parts(log, tally, templates, parts):
        cut = closed_windows(events, log.source.windowing.rule, start, end)
        cut = replace(cut, texts=templates.texts)
        judgement = _judgement(registered, cut)
        windows, threshold = windows + len(cut), judgement.threshold
        for document in _anomalies(window_rows(cut, judgement, family), events, templates):
            anomalies += 1
            yield document
    yield {
        "kind": "summary",
        "source": None if log.is_proposed else log.source.name,
        **tally.account(),
        "windows": windows,
        "anomalies": anomalies,
        "threshold": threshold,
        "model": registered and {"version": registered.version, "family": family},
        **templates.counted(),
    }


def preview(workspace: Workspace, log: Log) -> Document:
    """What a source would make of the log: its first events, what is quarantined, templates."""
    tally, templates = Tally(), Templates.of(workspace, log)
    templates.learn(log, tally)
    first: list[Document] = []
    for events in templates.events(log):
        wanted = events.head(SHOWN_EVENTS - len(first)).select(*SHOWN_COLUMNS)
        first += [{**row, "message": shown(row["message"])} for row in wanted.to_dicts()]
    return {**tally.account(), "first_events": first, **templates.counted()}


class Templates:
    """The templates of a log beside those that its source has already; nothing is saved."""

    def __init__(self, known: Catalogue) -> None:
        self.known = self.catalogue = known
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    @classmethod
    def of(cls, workspace: Workspace, log: Log) -> Templates:
        source = log.source
        if log.is_proposed:
            return cls(Catalogue.empty(source.name, source.masks))
        with workspace.engine.connect() as conn:
            return cls(catalogue.load_catalogue(conn, source.name, source.masks))

    def learn(self, log: Log, tally: Tally) -> None:
        """Mine what is new, as ingest does, and count what is read."""
        masks = log.source.masks
        shapes = count_shapes(pl.Series("message", [], pl.String), masks)
        for chunk in log.read():
            tally.add(chunk)
            shapes = merge_shapes([shapes, count_shapes(chunk.messages, masks)])
        self.catalogue = self.known.learn(shapes)

    def events(self, log: Log) -> Iterator[pl.DataFrame]:
        """The events, chunk by chunk, under the ids that templates go by today; they are counted on
        the way."""
        for chunk in log.read():
            found = self.catalogue.match(chunk.messages)
            events = chunk.events.hstack(found).drop_nulls(["template_id", "parameters"])
            ids = events["template_id"].unique()
            now = {each: self.catalogue.resolve(each) for each in ids}
            events = events.with_columns(
                pl.col("template_id").replace(now), numbers_of(events["parameters"])
            )
            self._count(events)
            yield events.select(*COLUMNS)

    @cached_property
    def texts(self) -> dict[str, str]:
        """By id, as people read them."""
        templates = self.catalogue.templates.values()
        return {each.template_id: shown(each.name or each.text) for each in templates}

    def id_of(self, template_id: str | None) -> str | None:
        """The id, None where no catalogue has it."""
        return template_id if template_id in self.known.templates else None

    def counted(self) -> Document:
        """How many there are of the events seen, and the most frequent."""
        return {
            "templates": len(self._counts),
            "new_templates": sum(self.id_of(each) is None for each in self._counts),
            "most_frequent": [
                {
                    "template_id": self.id_of(each),
                    "text": self.texts[each],
                    "count": count,
                    "is_new": self.id_of(each) is None,
                    "example": self._examples[each],
                }
                for each, count in self._counts.most_common(SHOWN_TEMPLATES)
            ],
        }

    def _count(self, events: pl.DataFrame) -> None:
        counts = events.group_by("template_id", maintain_order=True).agg(
            pl.len(), pl.col("message").first()
        )
        for template_id, count, message in counts.iter_rows():
            self._counts[template_id] += count
            self._examples.setdefault(template_id, shown(message))


def shown(text: str) -> str:
    """As much of a text as people read."""
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"


def _parsed(
    stream: BinaryIO, source: LogSource, moment: datetime, chunk_lines: int
) -> Iterator[ParsedChunk]:
    stream.seek(0)
    return parse_chunks(stream, source, OBJECT_KEY, moment, chunk_lines)


def _champion(workspace: Workspace, source: LogSource) -> RegisteredModel | None:
    return tracking.champion_at_hand(tracking.connect(workspace.settings), source.name)


def _judgement(registered: RegisteredModel | None, windows: Windows) -> Judgement:
    if registered is not None:
        return registered.model.judge(windows)
    nothing_before = windows.take(np.array([], dtype=np.int64))
    return judge_without_model(nothing_before, windows)


def _parts(
    log: Log, tally: Tally, templates: Templates, parts: int
) -> Iterator[tuple[pl.DataFrame, datetime, datetime]]:
    """Events, and the interval whose windows they decide: together all windows, as no more events
    will come. Parts are those of `windows_in_parts`."""
    rule, start, last = log.source.windowing.rule, tally.first_time, tally.last_time
    if start is None or last is None:
        return
    start, end = start - MICROSECOND, last + rule.lookback + MICROSECOND
    if parts <= 1 or not isinstance(rule, SessionRule | TimeRule):
        yield pl.concat(templates.events(log)), start, end
        return
    span = (end - start) / parts
    bounds = [*(start + n * span for n in range(parts)), end]
    spans = list(pairwise(bounds))
    with Shares(parts, no_events(COLUMNS)) as shares:
        for events in templates.events(log):
            if isinstance(rule, SessionRule):
                shares.add_by_session(events)
                continue
            for share, (since, until) in enumerate(spans):
                time = pl.col("event_time")
                shares.add(share, events.filter(time >= since - rule.lookback, time < until))
        for events, (since, until) in zip(shares.read(), spans, strict=True):
            is_of_time = isinstance(rule, TimeRule)
            yield (events, since, until) if is_of_time else (events, start, end)


def _anomalies(
    rows: Sequence[Anomaly], events: pl.DataFrame, templates: Templates
) -> Iterator[Document]:
    wanted = {line["line_number"] for row in rows for line in row.lines}
    there = events.filter(pl.col("line_number").is_in(wanted)).select("line_number", "message")
    messages = dict(there.iter_rows())
    for row in rows:
        yield {
            "kind": "anomaly",
            "window_start": row.window_start,
            "window_end": row.window_end,
            "session_key": row.session_key,
            "score": row.score,
            "severity": row.severity,
            "reason": row.reason,
            "events": row.events,
            "explanation": [_finding(each, templates) for each in row.explanation],
            "lines": [
                {
                    "line_number": line["line_number"],
                    "text": shown(messages[line["line_number"]]),
                }
                for line in row.lines
            ],
        }


def _finding(finding: Mapping[str, Any], templates: Templates) -> Document:
    follower = finding["followed_by"]
    return {
        **finding,
        "template_id": templates.id_of(finding["template_id"]),
        "text": templates.texts.get(finding["template_id"], finding["template_id"]),
        "followed_by": templates.id_of(follower),
        "followed_by_text": follower and templates.texts.get(follower, follower),
    }
