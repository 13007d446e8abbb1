"""Shapes: the map and the reduce in front of mining.

A shape is a message with `masking.SLOT` for each variable part that can be told by its own form.
Millions of messages have a few hundred shapes, and mining sees only those.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from ml.templates.batch import Batch
from ml.templates.masking import shapes_of

SHAPE_SCHEMA = {"shape": pl.String, "count": pl.UInt64, "example": pl.String}


def count_shapes(messages: pl.Series | Batch, masks: Sequence[str] = ()) -> pl.DataFrame:
    """The distinct shapes of messages: `shape`, `count` (uint64) and `example`, a message.

    messages: strings; nulls count for nothing. masks: see `masking.mask_pattern`. The same
    messages in any order give the same rows, in the order of the shapes.
    """
    distinct = Batch.of(messages).distinct
    return _grouped(distinct.with_columns(shape=shapes_of(pl.col("collapsed"), masks)))


def merge_shapes(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The shapes of all messages together; grouping and order of the frames make no difference."""
    return _grouped(pl.concat(frames))


def _grouped(shapes: pl.DataFrame) -> pl.DataFrame:
    return (
        shapes.group_by("shape")
        .agg(count=pl.col("count").sum(), example=pl.col("example").min())
        .sort("shape")
        .select(SHAPE_SCHEMA.keys())
    )
