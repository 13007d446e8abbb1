"""A batch of messages, collapsed once however often it is used."""

import os
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from ml.templates.digits import collapse


@dataclass(frozen=True)
class Batch:
    """messages: strings, some of which may be null. threads: how many work on them, as many as
    there are cores unless said; where other batches keep the cores busy, one is faster.

    `count_shapes`, `Catalogue.match` and `Catalogue.identify` take a batch in place of its
    messages; who calls more than one of them on the same messages saves the first pass.
    """

    messages: pl.Series
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)

    @classmethod
    def of(cls, messages: "pl.Series | Batch") -> "Batch":
        return messages if isinstance(messages, Batch) else cls(messages)

    def __len__(self) -> int:
        return len(self.messages)

    @cached_property
    def known(self) -> pl.Series:
        """The messages that are not null."""
        return self.messages.drop_nulls() if self.messages.null_count() else self.messages

    @cached_property
    def collapsed(self) -> pl.Series:
        """Of each known message."""
        return collapse(self.known, self.threads).alias("collapsed")

    @cached_property
    def distinct(self) -> pl.DataFrame:
        """The distinct collapsed texts: `collapsed`, `count` and `example`, the least message."""
        return (
            pl.DataFrame({"collapsed": self.collapsed, "example": self.known})
            .group_by("collapsed")
            .agg(count=pl.len().cast(pl.UInt64), example=pl.col("example").min())
        )

    def on_every_row(self, of_known: pl.DataFrame) -> pl.DataFrame:
        """Rows of the known messages, with nulls where a message is null."""
        if not self.messages.null_count():
            return of_known
        places = self.messages.is_not_null().arg_true().cast(pl.Int64)
        rows = pl.DataFrame({"place": pl.int_range(len(self), eager=True)})
        return rows.join(
            of_known.with_columns(place=places), on="place", how="left", maintain_order="left"
        ).drop("place")
