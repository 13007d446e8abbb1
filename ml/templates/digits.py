"""The cheap first pass: every number in a message becomes a single `0`.

Log lines differ mostly in their numbers, so millions of lines come down to a few hundred distinct
texts here, and only those few meet the costly rules. The pass works on the bytes of many messages
at once. A number is a run of ASCII digits, with a minus sign before it when no letter or digit
stands before the sign. Since each number becomes `0`, a collapsed text needs no escaping: every
digit in it is a number, and the n-th `0` is the n-th number of the message.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# The slice that one thread works on: its few megabytes of scratch stay in the processor's cache.
SLICE_ROWS = 16_384

_ZERO, _MINUS = np.uint8(ord("0")), np.uint8(ord("-"))
_IS_LETTER_OR_DIGIT = np.zeros(256, dtype=np.bool_)
_IS_LETTER_OR_DIGIT[[*range(ord("0"), ord("9") + 1), *range(ord("A"), ord("Z") + 1)]] = True
_IS_LETTER_OR_DIGIT[[*range(ord("a"), ord("z") + 1), *range(128, 256)]] = True


@dataclass(frozen=True)
class Text:
    """The UTF-8 bytes of n strings: string i is data[offsets[i]:offsets[i + 1]]."""

    data: Bytes
    offsets: Ints

    @classmethod
    def of(cls, strings: pl.Series) -> "Text":
        array = strings.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, data = array.buffers()
        ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        first, last = int(ends[0]), int(ends[-1])
        return cls(
            np.frombuffer(data, np.uint8)[first:last] if last > first else np.zeros(0, np.uint8),
            ends - first,
        )

    def series(self) -> pl.Series:
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pl.Series(pa.Array.from_buffers(pa.large_string(), len(self.offsets) - 1, buffers))


def collapse(messages: pl.Series) -> pl.Series:
    """Each message with every number as `0`, in the same order. No message may be null."""
    slices = list(_slices(messages))
    if len(slices) == 1:
        return _collapse_slice(slices[0])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return pl.concat(pool.map(_collapse_slice, slices), rechunk=False)


def numbers(text: Text) -> tuple[Bools, Bools]:
    """Which bytes belong to a number, and which of them continue one, each of shape (bytes,)."""
    data, offsets = text.data, text.offsets
    in_number = (data - _ZERO) < 10
    line_starts = offsets[:-1][offsets[:-1] < len(data)]
    continues = np.empty(len(data), dtype=np.bool_)
    continues[:1] = False
    np.logical_and(in_number[1:], in_number[:-1], out=continues[1:])
    continues[line_starts] = False
    signs = np.flatnonzero((data[:-1] == _MINUS) & in_number[1:])
    if len(signs):
        at_line_start = np.zeros(len(data) + 1, dtype=np.bool_)
        at_line_start[offsets] = True
        free_before = at_line_start[signs] | ~_IS_LETTER_OR_DIGIT[data[signs - 1]]
        signs = signs[free_before & ~at_line_start[signs + 1]]
        in_number[signs] = True
        continues[signs + 1] = True
    return in_number, continues


def _slices(messages: pl.Series) -> Iterator[pl.Series]:
    for start in range(0, max(len(messages), 1), SLICE_ROWS):
        yield messages.slice(start, SLICE_ROWS)


def _collapse_slice(messages: pl.Series) -> pl.Series:
    text = Text.of(messages)
    if not len(text.data):
        return messages
    in_number, continues = numbers(text)
    zeroed = np.where(in_number, _ZERO, text.data)
    kept = zeroed[~continues]
    dropped = np.zeros(len(text.offsets), dtype=np.int64)
    np.cumsum(_sums(continues, text.offsets), out=dropped[1:])
    return Text(kept, text.offsets - dropped).series()


def _sums(flags: Bools, offsets: Ints) -> Ints:
    """How many flags are set within each [offsets[i], offsets[i + 1])."""
    starts, lengths = offsets[:-1], np.diff(offsets)
    sums = np.add.reduceat(flags, np.minimum(starts, len(flags) - 1), dtype=np.int64)
    sums[lengths == 0] = 0
    return sums
