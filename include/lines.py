"""Lines of raw logs with what stands around them, masked as ingest masks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.database import ledger
from include.ingest.decode import UnreadableObject, read_lines
from include.ingest.redaction import redacted_chunks
from include.objects import ReplacedObject
from include.sources import LogSource
from include.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

# What people read of a line; the mask comes first, so that no half of a secret escapes it.
SHOWN_CHARACTERS = 4000
# Held at a time: each of them may be as long as `decode` lets a line be.
CHUNK_LINES = 100

Address = tuple[str, int]
# First and last line, both included.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an object. is_cut: whether it goes on where `text` ends."""

    line_number: int
    text: str
    is_cut: bool


@dataclass(slots=True)
class Passage:
    """Lines of an object that follow each other. problem: why some or all of them are missing."""

    object_key: str
    lines: list[Line] = field(default_factory=list)
    problem: str | None = None


def passages(
    workspace: Workspace, source: LogSource, addresses: Iterable[Address], context: int
) -> list[Passage]:
    """The lines at addresses, each with so many before and after it, in order of object and line;
    what overlaps or touches is one passage.

    Each object is read once, up to the last line that is wanted of it, in the version that was
    ingested. Where that is not there any more, or is damaged, the passage says so.
    """
    wanted: dict[str, list[int]] = {}
    for key, number in addresses:
        wanted.setdefault(key, []).append(number)
    with workspace.engine.connect() as conn:
        etags = ledger.etags_of(conn, source.name, set(wanted))
    found: list[Passage] = []
    for key in sorted(wanted):
        spans = _spans(wanted[key], context)
        found += _of_object(workspace, source, key, etags.get(key), spans)
    return found


def _spans(numbers: Sequence[int], context: int) -> list[Span]:
    spans: list[Span] = []
    for number in sorted(numbers):
        first, last = max(1, number - context), number + context
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return spans


def _of_object(
    workspace: Workspace, source: LogSource, key: str, etag: str | None, spans: list[Span]
) -> list[Passage]:
    if etag is None:
        return [Passage(key, problem=f"{key} is not among the ingested objects any more")]
    read = [Passage(key) for _ in spans]
    try:
        with workspace.store.open(workspace.settings.bucket_logs, key, etag) as stream:
            chunks = read_lines(stream, CHUNK_LINES)
            for place, first, lines in _within(chunks, spans):
                (masked,) = redacted_chunks([lines], source.redact)
                read[place].lines += _shown(first, masked)
    except (UnreadableObject, ReplacedObject) as error:
        for passage, (first, last) in zip(read, spans, strict=True):
            if len(passage.lines) <= last - first:
                passage.problem = str(error)
    return read


def _within(chunks: Iterator[pl.Series], spans: list[Span]) -> Iterator[tuple[int, int, pl.Series]]:
    """What of each chunk lies in a span: the place of the span, the number of the first line, and
    the lines. No chunk after the last span is asked for."""
    end = 0
    for lines in chunks:
        start, end = end + 1, end + len(lines)
        for place, (first, last) in enumerate(spans):
            begin, stop = max(first, start), min(last, end)
            if begin <= stop:
                yield place, begin, lines[begin - start : stop - start + 1]
        if end >= spans[-1][1]:
            return


def _shown(first: int, lines: pl.Series) -> list[Line]:
    return [
        Line(first + place, text[:SHOWN_CHARACTERS], len(text) > SHOWN_CHARACTERS)
        for place, text in enumerate(lines)
    ]
