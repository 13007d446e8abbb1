"""Windows as sequences of numbers, for the models that read event by event."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.windows import Windows

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sequences:
    """The d distinct template sequences of n windows, each event as its place in a vocabulary.

    events: the sequences end to end; a template outside the vocabulary has its length as number.
    offsets: shape (d + 1,); sequence i is events[offsets[i]:offsets[i + 1]].
    multiplicity: windows with each sequence, shape (d,).
    of_window: the sequence of each window, shape (n,), to spread the sequences' scores by.
    rows: the first window with each sequence, shape (d,).
    """

    events: Ints
    offsets: Ints
    multiplicity: Ints
    of_window: Ints
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Ints:
        """Events per sequence, shape (d,)."""
        return np.diff(self.offsets)

    def padded(self, which: Ints, width: int, padding: int) -> Ints:
        """The first `width` events of these sequences, shape (len(which), width)."""
        columns = np.arange(width)
        inside = columns < self.lengths[which][:, None]
        places = np.where(inside, self.offsets[which][:, None] + columns, 0)
        if not len(self.events):
            return np.full((len(which), width), padding)
        return np.where(inside, self.events[places], padding)

    def batches_by_length(self, size: int) -> Iterator[Ints]:
        """The numbers of the sequences in batches of alike length, so that little is padding."""
        order = np.argsort(self.lengths, kind="stable")
        for start in range(0, len(order), size):
            yield order[start : start + size]


def distinct_sequences(windows: Windows, vocabulary: list[str]) -> Sequences:
    """The distinct sequences of the windows over a vocabulary of template ids."""
    rows, of_window = windows.distinct()
    chosen = windows.take(rows)
    numbers = dict(zip(vocabulary, range(len(vocabulary)), strict=True))
    events = chosen.events["template_id"].replace_strict(
        numbers, default=len(vocabulary), return_dtype=pl.Int64
    )
    return Sequences(
        events=events.to_numpy(),
        offsets=chosen.offsets,
        multiplicity=np.bincount(of_window, minlength=len(rows)).astype(np.int64),
        of_window=of_window,
        rows=rows,
    )
