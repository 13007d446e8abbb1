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

    lines: strings; is_start: whether each starts a record; first_line_number: from one.
    overruns: the block starts with lines beyond the bound of a record in an earlier block.
    """

    lines: pl.Series
    is_start: pl.Series
    first_line_number: int
    overruns: bool


def whole_records(
    chunks: Iterable[list[str]], starts_record: Callable[[pl.Series], pl.Series]
) -> Iterator[Block]:
    """Chunks of lines, cut anew so that each record's lines lie in one block."""
    held: list[str] = []
    number, overruns = 1, False
    for chunk in chunks:
        lines = pl.Series("line", held + chunk, pl.String)
        is_start = starts_record(lines)
        positions = is_start.arg_true()
        last = int(positions[-1]) if len(positions) else 0
        # What follows the last start may go on in the next chunk, but not without end.
        cut = last if len(lines) - last <= LONGEST_RECORD else len(lines)
        if cut:
            yield Block(lines[:cut], is_start[:cut], number, overruns)
            number += cut
            if len(positions):
                overruns = cut > last
        held = lines[cut:].to_list()
    if held:
        lines = pl.Series("line", held, pl.String)
        yield Block(lines, starts_record(lines), number, overruns)
