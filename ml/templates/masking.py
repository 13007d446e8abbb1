"""Masking: the variable parts of messages that can be told by their shape alone."""

from collections.abc import Iterable, Sequence

import polars as pl

# Stands in a shape where a variable part was. It is a private-use character, and where a message
# holds it already, that one is masked too: so shapes and parameters always give the message back.
SLOT = "\ue000"
# What ends a token, besides white space.
DELIMITERS = r"""=,:;()\[\]{}<>"'|"""
# A token with a digit in it: numbers, addresses, identifiers, paths.
TOKEN_WITH_DIGIT = rf"[^\s{DELIMITERS}]*\d[^\s{DELIMITERS}]*"


def mask_pattern(masks: Sequence[str] = ()) -> str:
    """The expression that matches one variable part. masks: further ones, which go first."""
    return "|".join([*(f"(?:{mask})" for mask in masks), SLOT, TOKEN_WITH_DIGIT])


def count_shapes(messages: pl.Series, masks: Sequence[str] = ()) -> pl.DataFrame:
    """The distinct shapes of messages: `shape`, `count` (uint64) and `example`, a message.

    The same messages give the same rows, in the order of the shapes.
    """
    shapes = pl.DataFrame({"example": messages}).group_by("example").agg(count=pl.len())
    return _grouped(
        shapes.with_columns(
            shape=pl.col("example").str.replace_all(mask_pattern(masks), SLOT),
            count=pl.col("count").cast(pl.UInt64),
        )
    )


def merge_shapes(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The shapes of all messages together; grouping and order of the frames make no difference."""
    return _grouped(pl.concat(frames))


def _grouped(shapes: pl.DataFrame) -> pl.DataFrame:
    return (
        shapes.group_by("shape")
        .agg(count=pl.col("count").sum(), example=pl.col("example").min())
        .sort("shape")
    )
