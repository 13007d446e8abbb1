"""Which lines belong together."""

from __future__ import annotations

import polars as pl
import pytest

from include.ingest.records import whole_records


def read_headers(lines: pl.Series) -> pl.DataFrame:
    """Capitals start a record."""
    return pl.DataFrame([lines.alias("line"), lines.str.contains("^[A-Z]").alias("is_start")])


@pytest.mark.parametrize(
    ("chunks", "blocks"),
    [
        ([], []),
        (["AbCb"], ["AbCb"]),
        (["AbCb", "bDE"], ["Ab", "CbbDE"]),
        (["bb", "bA", "b"], ["bbb", "Ab"]),
    ],
    ids=[
        "nothing",
        "one chunk is one block",
        "what may go on waits for the next chunk",
        "lines before the first record",
    ],
)
def test_blocks_hold_whole_records(chunks: list[str], blocks: list[str]) -> None:
    found = list(whole_records((pl.Series(list(chunk)) for chunk in chunks), read_headers))
    assert ["".join(block.lines["line"]) for block in found] == blocks
    numbers = [1 + sum(map(len, blocks[:each])) for each in range(len(blocks))]
    assert [block.first_line_number for block in found] == numbers
