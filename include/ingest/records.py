"""Which lines belong together: blocks of lines in which no record is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl

# Beyond this, lines are quarantined: a record that long is a file that is no log.
LONGEST_RECORD = 1000


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records.

    lines: one row a line: `line`, `is_start` (whether it starts a record), and the fields that
        were read of it.
    first_line_number: from one.
    overruns: the block starts with lines beyond the bound of a record in an earlier block.
    """

    lines: pl.DataFrame
    first_line_number: int
    overruns: bool


def whole_records(
    chunks: Iterable[pl.Series], read_headers: Callable[[pl.Series], pl.DataFrame]
) -> Iterator[Block]:
    """Chunks of lines, cut anew so that each record's lines lie in one block.

    read_headers: from lines to `Block.lines`; it sees every line once, in order. One chunk is read
    ahead, so that the last record of an object is no block of its own.
    """
    held: pl.DataFrame | None = None
    number, overruns = 1, False
    for chunk, is_last in _with_last(chunks):
        fresh = read_headers(chunk)
        lines = fresh if held is None else pl.concat([held, fresh])
        starts = lines["is_start"].arg_true()
        last = int(starts[-1]) if len(starts) else 0
        # What follows the last start may go on in the next chunk, but not without end.
        cut = len(lines) if is_last or len(lines) - last > LONGEST_RECORD else last
        if cut:
            yield Block(lines[:cut], number, overruns)
            number += cut
            if len(starts):
                overruns = cut > last
        held = lines[cut:]


def _with_last(chunks: Iterable[pl.Series]) -> Iterator[tuple[pl.Series, bool]]:
    """Each chunk, and whether it is the last."""
    remaining = iter(chunks)
    chunk = next(remaining, None)
    while chunk is not None:
        following = next(remaining, None)
        yield chunk, following is None
        chunk = following
