"""Masking what must not be stored, in lines as they are read: all that comes later is made of
these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from include.sources.redaction import Redaction


def redacted_chunks(
    chunks: Iterable[pl.Series], redactions: Sequence[Redaction]
) -> Iterator[pl.Series]:
    """Chunks of lines with every match masked, as many lines as before."""
    for lines in chunks:
        yield lines.to_frame("line").select(redacted(pl.col("line"), redactions)).to_series()


def redacted_text(text: str, redactions: Sequence[Redaction]) -> str:
    """The same of a text of several lines, which may match where none did alone."""
    (masked,) = redacted_chunks([pl.Series("line", [text])], redactions)
    return str(masked.item())


def redacted(text: pl.Expr, redactions: Sequence[Redaction]) -> pl.Expr:
    """The text with every match masked, one redaction after the other."""
    for each in redactions:
        groups = re.compile(each.pattern).groupindex
        before, after = (f"${{{name}}}" if name in groups else "" for name in ("keep", "after"))
        text = text.str.replace_all(each.pattern, f"{before}[{each.name}]{after}")
    return text
