"""Windows as they would be without one of the things that are odd about them.

Scored beside the windows as they are, they tell how much of a score each of these things makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.altered import rearranged, with_numbers, with_pauses
from ml.profile import NormalProfile
from ml.ranges import PAUSE
from ml.windows import Windows

if TYPE_CHECKING:
    from ml.explanation import Finding

Ints = npt.NDArray[np.int64]


class Mender:
    """Takes what is odd out of windows, by what a profile knows of normal ones.

    What is new goes; so does what comes too often, first where it stands as it never stood, then
    at the window's end. What is missing is put between those neighbours that it has in most normal
    windows. Two that were never seen in this order change places. A number outside its range
    becomes the nearest one inside, and so does a pause.
    """

    def __init__(self, profile: NormalProfile) -> None:
        self.vocabulary = profile.vocabulary
        known = len(profile.vocabulary)
        # After the known templates, the place of both ends of a window and that of what is new.
        self.end, self.new = known, known + 1
        self.columns = dict(zip(profile.vocabulary, range(known), strict=True))
        first, second = (
            profile.pairs[name].replace_strict(self.columns, return_dtype=pl.Int64).to_numpy()
            for name in ("first", "second")
        )
        windows = profile.pairs["windows"].to_numpy().astype(np.int64)
        # In so many windows, at least, a template is the first or the last one.
        held = profile.windows_with_template
        is_first = np.maximum(held - np.bincount(second, windows, known).astype(np.int64), 0)
        is_last = np.maximum(held - np.bincount(first, windows, known).astype(np.int64), 0)
        templates, ends = np.arange(known), np.full(known, self.end)
        keys = self._keys(
            np.concatenate([first, ends, templates]), np.concatenate([second, templates, ends])
        )
        order = np.argsort(keys)
        self.keys = keys[order]
        self.windows = np.concatenate([windows, is_first, is_last])[order]

    def _keys(self, first: Ints, second: Ints) -> Ints:
        keys: Ints = first * (self.new + 1) + second
        return keys

    def _windows_with(self, first: Ints, second: Ints) -> Ints:
        """How many normal windows hold each pair of neighbours, shape (pairs,)."""
        keys = self._keys(first, second)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.windows[place], 0)

    def mended(
        self, windows: Windows, causes: Sequence[tuple[int, Finding]], odd_numbers: pl.DataFrame
    ) -> tuple[Windows, npt.NDArray[np.bool_]]:
        """The windows, and after them for each cause its window without it; and which of all of
        these have nothing left: they stand there as they were, since no window is without events.

        causes: row numbers and what is odd there; one that is new stands for all that is new.
        odd_numbers: of `Ranges.odd`.
        """
        rows = np.array([row for row, _ in causes], dtype=np.int64)
        both = windows.take(np.concatenate([np.arange(len(windows)), rows]))
        codes = both.events["template_id"].replace_strict(
            self.columns, default=self.new, return_dtype=pl.Int64
        )
        of_window = np.split(codes.to_numpy(), both.offsets[1:-1])
        changed, numbers = {}, []
        is_empty = np.zeros(len(both), dtype=np.bool_)
        for row, (source, finding) in enumerate(causes, start=len(windows)):
            if finding.value:
                odd = odd_numbers.filter(
                    (pl.col("window") == source)
                    & (pl.col("template_id") == finding.template_id)
                    & (pl.col("place") == finding.value.place)
                )
                moved = int(both.offsets[row] - windows.offsets[source])
                numbers.append(odd.with_columns(pl.col("event") + moved))
                continue
            places = self._places(of_window[row], finding)
            if len(places):
                changed[row] = places
            else:
                is_empty[row] = True
        if numbers:
            nearest = pl.concat(numbers).with_columns(pl.col("number").clip("low", "high"))
            is_pause = pl.col("place") == PAUSE
            both = with_numbers(both, nearest.filter(~is_pause))
            both = with_pauses(both, nearest.filter(is_pause))
        return rearranged(both, changed, self.vocabulary), is_empty

    def _places(self, codes: Ints, finding: Finding) -> Ints:
        """The places of the events that are left, see `rearranged`. codes: the window's templates
        by their columns, shape (events,)."""
        everything: Ints = np.arange(len(codes))
        if finding.kind == "new":
            return np.delete(everything, codes == self.new)
        column = self.columns[finding.template_id]
        if finding.followed_by:
            is_pair = (codes[:-1] == column) & (codes[1:] == self.columns[finding.followed_by])
            first = np.flatnonzero(is_pair)
            everything[first], everything[first + 1] = first + 1, first
            return everything
        # Of a habit, so many are left as were seen before.
        expected = finding.habit.at_least - 1 if finding.habit else finding.expected
        if expected < finding.found:
            return np.delete(everything, self._surplus(codes, column, finding.found - expected))
        added = np.full(expected - finding.found, -1 - column)
        return np.insert(everything, self._gaps(codes, column, len(added)), added)

    def _surplus(self, codes: Ints, column: int, count: int) -> Ints:
        """The places of so many events of a template that are the least usual ones."""
        places = np.flatnonzero(codes == column)
        # No pair of an event and an end is odd.
        is_odd = np.concatenate([[False], self._is_unseen(codes), [False]])
        oddness = is_odd[places].astype(np.int64) + is_odd[places + 1]
        odd_last: Ints = places[np.lexsort((places, oddness))]
        return odd_last[len(places) - count :]

    def _gaps(self, codes: Ints, column: int, count: int) -> Ints:
        """Where so many events of a template would be usual: before the events at these places, one
        in each while there are such gaps."""
        framed = np.concatenate([[self.end], codes, [self.end]])
        template = np.full(len(codes) + 1, column)
        before = self._windows_with(framed[:-1], template)
        after = self._windows_with(template, framed[1:])
        usual = np.minimum(before, after)
        best = np.argsort(-usual, kind="stable")
        gaps = best[usual[best] > 0][:count]
        return np.concatenate([gaps, np.full(count - len(gaps), best[0])])

    def _is_unseen(self, codes: Ints) -> npt.NDArray[np.bool_]:
        """Whether no normal window holds each pair of neighbours, shape (events - 1,)."""
        is_unseen: npt.NDArray[np.bool_] = self._windows_with(codes[:-1], codes[1:]) == 0
        return is_unseen
