"""Lines of raw logs with what stands around them, masked as ingest masks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.database import ledger
from include.ingest.decode import UnreadableObject, read_lines
from include.ingest.redaction import redacted_chunks, redacted_text
from include.objects import ReplacedObject
from include.sources import LogSource
from include.sources.redaction import Redaction
from include.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

# What people read of a line; the mask comes first, so that no half of a secret escapes it.
SHOWN_CHARACTERS = 4000
# Held at a time: each of them may be as long as `decode` lets a line be.
CHUNK_LINES = 100
# A secret may go over several lines, as a private key does: so many before and after those wanted
# are masked with them, as far as this of each.
AROUND, HELD_CHARACTERS = 60, 2 * SHOWN_CHARACTERS
MASKED = "[masked with the lines around it]"

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
    around = [(max(1, first - AROUND), last + AROUND) for first, last in spans]
    held: list[list[Line]] = [[] for _ in spans]
    problem = None
    try:
        with workspace.store.open(workspace.settings.bucket_logs, key, etag) as stream:
            chunks = read_lines(stream, CHUNK_LINES)
            for place, first, lines in _within(chunks, around):
                (alone,) = redacted_chunks([lines], source.redact)
                held[place] += _cut(first, alone, HELD_CHARACTERS)
    except (UnreadableObject, ReplacedObject) as error:
        problem = str(error)
    read = []
    for (first, last), found in zip(spans, held, strict=True):
        masked = _masked(found, source.redact)
        shown = [line for line in masked if first <= line.line_number <= last]
        is_whole = len(shown) > last - first
        read.append(Passage(key, shown, None if is_whole else problem))
    return read


def _masked(lines: Sequence[Line], redactions: Sequence[Redaction]) -> list[Line]:
    """The lines as they are shown, with what several of them hold together masked, too."""
    texts = [each.text for each in lines]
    found = redacted_text("\n".join(texts), redactions).split("\n") if texts else []
    if len(found) != len(texts):  # a line's end was masked with what is around it
        before = _alike(texts, found)
        after = _alike(texts[before:][::-1], found[before:][::-1])
        masked = [MASKED] * (len(texts) - before - after)
        found = [*texts[:before], *masked, *texts[len(texts) - after :]]
    return [
        Line(each.line_number, text[:SHOWN_CHARACTERS], each.is_cut or len(text) > SHOWN_CHARACTERS)
        for each, text in zip(lines, found, strict=True)
    ]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many are the same before the first that is not."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


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


def _cut(first: int, lines: pl.Series, most: int) -> list[Line]:
    return [Line(first + place, text[:most], len(text) > most) for place, text in enumerate(lines)]
