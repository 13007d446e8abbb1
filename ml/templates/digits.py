"""The cheap first pass: every number in a message becomes a single `0`.

Log lines differ mostly in their numbers, so millions of lines come down to a few hundred distinct
texts here, and only those few meet the costly rules. The pass works on the bytes of many messages
at once. A number is a run of ASCII digits, with a minus sign before it when no letter or digit
stands before the sign. Since each number becomes `0`, a collapsed text needs no escaping: every
digit in it is a number, and the n-th `0` is the n-th number of the message.
"""

from collections.abc import Callable
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
SLICE_ROWS = 8_192

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


def collapse(messages: pl.Series, threads: int = 1) -> pl.Series:
    """Each message with every number as `0`, in the same order. No message may be null."""
    return pl.concat(in_slices(_collapse_slice, messages, threads), rechunk=False)


def in_slices(
    work: Callable[[pl.Series, int], pl.Series], messages: pl.Series, threads: int
) -> list[pl.Series]:
    """What `work` makes of each slice and its first row number, by so many threads."""
    starts = range(0, max(len(messages), 1), SLICE_ROWS)

    def on_slice(start: int) -> pl.Series:
        return work(messages.slice(start, SLICE_ROWS), start)

    if threads == 1 or len(starts) == 1:
        return list(map(on_slice, starts))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(on_slice, starts))


def numbers(text: Text) -> tuple[Bools, Ints]:
    """Which bytes drop out when the numbers collapse, shape (bytes,), and where the signs are.

    All digits but the first of each number drop out, and its sign.
    """
    data, offsets = text.data, text.offsets
    is_digit = (data - _ZERO) < 10
    dropped = np.empty(len(data), dtype=np.bool_)
    dropped[:1] = False
    np.logical_and(is_digit[1:], is_digit[:-1], out=dropped[1:])
    dropped[offsets[:-1][offsets[:-1] < len(data)]] = False
    signs = np.flatnonzero((data[:-1] == _MINUS) & is_digit[1:])
    if len(signs):
        line_starts = np.zeros(len(data) + 1, dtype=np.bool_)
        line_starts[offsets] = True
        signs = signs[
            (line_starts[signs] | ~_IS_LETTER_OR_DIGIT[data[signs - 1]]) & ~line_starts[signs + 1]
        ]
        dropped[signs] = True
    return dropped, signs


def _collapse_slice(messages: pl.Series, _start: int) -> pl.Series:
    text = Text.of(messages)
    if not len(text.data):
        return messages
    dropped, _ = numbers(text)
    kept = text.data[~dropped]
    # A digit is 0x30 to 0x39: without its last four bits it is "0".
    is_digit = (kept - _ZERO) < 10
    kept &= (is_digit.view(np.uint8) - np.uint8(1)) | np.uint8(0xF0)
    return Text(kept, text.offsets - counts_before(dropped, text.offsets)).series()


def counts_before(flags: Bools, places: Ints) -> Ints:
    """How many flags are set before each place."""
    packed = np.append(np.packbits(flags), np.uint8(0))
    before = np.cumsum(np.bitwise_count(packed), dtype=np.int64)
    octets, rest = places >> 3, places & 7
    partly = packed[octets] & (0xFF00 >> rest).astype(np.uint8)
    found: Ints = before[octets] - np.bitwise_count(packed[octets]) + np.bitwise_count(partly)
    return found
