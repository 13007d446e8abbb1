"""Reading whole objects in the tests of ingest."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest

from include.ingest.parse import ParsedChunk, parse_chunks
from include.lake.schema import PARSED_SCHEMA, QUARANTINE_SCHEMA
from include.sources import LogSource

STORED = datetime(2026, 1, 2, 12, tzinfo=UTC)
FIVE_MINUTES = {"kind": "time", "size": "5m", "step": "5m"}

Parse = Callable[..., ParsedChunk]


class Trickle(io.BytesIO):
    """A stream that hands out fewer bytes than it is asked for, as networks do."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self.most if size is None or size < 0 else min(size, self.most)
        return super().read(wanted)


def parse_object(
    text: str | bytes,
    format: str | dict[str, object] = "python",
    stored_utc: datetime = STORED,
    chunk_lines: int = 1000,
    read_bytes: int = 2**30,
    **fields: object,
) -> ParsedChunk:
    """One object read to its end, all chunks as one."""
    source = LogSource.model_validate(
        {"name": "app", "format": format, "windowing": FIVE_MINUTES, **fields}
    )
    data = text.encode() if isinstance(text, str) else text
    chunks = list(
        parse_chunks(Trickle(data, read_bytes), source, "app/1.log", stored_utc, chunk_lines)
    )
    no_events = pl.DataFrame(PARSED_SCHEMA.empty_table())
    no_lines = pl.DataFrame(QUARANTINE_SCHEMA.empty_table())
    return ParsedChunk(
        events=pl.concat([no_events, *(chunk.events for chunk in chunks)]),
        quarantined=pl.concat([no_lines, *(chunk.quarantined for chunk in chunks)]),
        lines_read=sum(chunk.lines_read for chunk in chunks),
        lines_continued=sum(chunk.lines_continued for chunk in chunks),
    )


@pytest.fixture(scope="session")
def parse() -> Parse:
    return parse_object


@pytest.fixture(scope="session")
def trickle() -> type[Trickle]:
    return Trickle
