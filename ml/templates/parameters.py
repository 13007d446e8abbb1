"""Parameters: the variable parts of many messages at once, cut out of their bytes.

A message is turned into its template in steps, and each step replaces parts of the text by single
slots: numbers, then masks, then lists, then words. Where a parameter lies in the message follows
from the lengths of the parts alone, so no step is undone and no text is searched.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from ml.templates.digits import Ints, Text, counts_before, numbers


@dataclass(frozen=True)
class Cuts:
    """The parameters of n texts, flat: text i has those from offsets[i] to offsets[i + 1].

    lengths: bytes of each in the collapsed text. numbers: how many numbers each holds.
    constants: bytes of the constant text before each.
    """

    offsets: Ints
    lengths: Ints
    numbers: Ints
    constants: Ints


def spread(parts: pl.Series, slot: str, lengths: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The lengths and number counts of parts in which each slot stands for a part before.

    parts: flat strings. lengths, counts: of what the slots stand for, flat and in order.
    """
    slots = _ints(parts.str.count_matches(slot, literal=True))
    sizes = _ints(parts.str.len_bytes()) - slots * len(slot)
    ends = np.cumsum(slots)
    return (
        sizes + _between(lengths, ends - slots, ends),
        _between(counts, ends - slots, ends),
    )


def cut(messages: pl.Series, rows: Ints, cuts: Cuts) -> pl.Series:
    """The parameters of each message, as lists of strings. rows: which text of `cuts` it is."""
    text = Text.of(messages)
    per_message = np.diff(cuts.offsets)[rows]
    lists = np.concatenate(([0], np.cumsum(per_message)))
    total = int(lists[-1])
    owner = np.repeat(np.arange(len(rows)), per_message)
    which = np.arange(total) + (cuts.offsets[:-1][rows] - lists[:-1])[owner]
    counts = cuts.numbers[which]
    run_ends = np.cumsum(counts)
    lengths = cuts.lengths[which] + _between(_dropped_by_number(text), run_ends - counts, run_ends)
    constants = cuts.constants[which]
    before = np.concatenate(([0], np.cumsum(constants + lengths)))
    starts = text.offsets[:-1][owner] + before[:-1] - before[lists[:-1]][owner] + constants
    return _lists(text, starts, lengths, lists)


def _dropped_by_number(text: Text) -> Ints:
    """How many bytes of each number drop out when it collapses, in the order of the text."""
    dropped, signs = numbers(text)
    starts = (text.data - np.uint8(ord("0"))) < 10
    starts &= ~dropped
    # With a sign, the number begins at it.
    starts[signs + 1] = False
    starts[signs] = True
    begins = np.flatnonzero(starts)
    return np.diff(counts_before(dropped, np.append(begins, len(dropped))))


def _lists(text: Text, starts: Ints, lengths: Ints, lists: Ints) -> pl.Series:
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    picked = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    data = text.data[picked]
    strings = pa.Array.from_buffers(
        pa.large_string(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    # From buffers: pyarrow would import pandas to read an array of numpy's.
    nested = pa.large_list(pa.large_string())
    return pl.Series(
        pa.Array.from_buffers(
            nested, len(lists) - 1, [None, pa.py_buffer(lists)], children=[strings]
        )
    )


def _between(values: Ints, starts: Ints, ends: Ints) -> Ints:
    """The sum of values[starts[i]:ends[i]], for each i."""
    sums = np.concatenate(([0], np.cumsum(values)))
    return sums[ends] - sums[starts]


def _ints(series: pl.Series) -> Ints:
    return series.cast(pl.Int64).to_numpy()
