"""Windows with other events, numbers or pauses: what faults are planted by, and mended by."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.windows import NUMBERS, Windows


def rearranged(
    windows: Windows, changed: Mapping[int, npt.NDArray[np.int64]], templates: list[str]
) -> Windows:
    """The windows with the events of some of them taken from other places.

    The moments of a window stay in order; an event that comes on top stands at the moment of the
    one before it.

    changed: by the row of the window, the places in it of the events that it is to have, at least
        one; -1 - n is a new event of the n-th template.
    """
    events, moments = [], []
    for row in range(len(windows)):
        start, end = int(windows.offsets[row]), int(windows.offsets[row + 1])
        places = changed.get(row, np.arange(end - start))
        events.append(np.where(places < 0, places, start + places))
        moments.append(start + np.sort(_filled(places)))
    lengths = [len(each) for each in events]
    offsets = np.array([0, *np.cumsum(lengths)], dtype=np.int64)
    drawn, moment = (np.concatenate([*each, []]).astype(np.int64) for each in (events, moments))
    # Of a foreign event only the template is its own.
    rebuilt = windows.events[np.where(drawn < 0, moment, drawn)]
    named = pl.Series(np.array(templates)[np.where(drawn < 0, -1 - drawn, 0)], dtype=pl.String)
    rebuilt = rebuilt.with_columns(
        template_id=pl.when(pl.Series(drawn < 0)).then(named).otherwise(pl.col("template_id"))
    )
    if NUMBERS in rebuilt.columns:
        own = pl.when(pl.Series(drawn >= 0)).then(NUMBERS).alias(NUMBERS)
        rebuilt = rebuilt.with_columns(own)
    spans = windows.spans
    if "event_time" in rebuilt.columns:
        rebuilt = rebuilt.with_columns(windows.events["event_time"].gather(moment))
        spans = spans.with_columns(ends_at=rebuilt["event_time"].gather(offsets[1:] - 1))
    return replace(windows, spans=spans, events=rebuilt, offsets=offsets)


def _filled(places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places with that of the event before in the place of foreign events."""
    last = np.maximum.accumulate(np.where(places < 0, -1, np.arange(len(places))))
    return np.where(last < 0, 0, places[last])


def with_numbers(windows: Windows, changed: pl.DataFrame) -> Windows:
    """The windows with other numbers in some places. changed: `event` (row number), the `place` of
    the parameter and the `number` that is to stand there."""
    if changed.is_empty():
        return windows
    numbers: dict[int, list[float | None]] = {}
    for event, place, number in changed.select("event", "place", "number").rows():
        numbers.setdefault(event, windows.events[NUMBERS][event].to_list())[place] = number
    rows = pl.DataFrame({"event": numbers.keys(), NUMBERS: numbers.values()})
    events = windows.events.with_row_index("event").cast({"event": pl.Int64})
    return replace(windows, events=events.update(rows, on="event").drop("event"))


def with_pauses(windows: Windows, changed: pl.DataFrame) -> Windows:
    """The windows with other pauses before some events; what comes after these moves along.

    changed: `event` (row number, of none that is the first of its window) and the seconds since the
        event before, `number`.
    """
    if changed.is_empty():
        return windows
    times = windows.events["event_time"]
    rows = changed["event"].to_numpy()
    before = times.diff().dt.total_microseconds().to_numpy()[rows]
    moved = np.zeros(len(times) + 1, dtype=np.int64)
    moved[rows + 1] = np.round(changed["number"].to_numpy() * 1e6) - before
    moved = np.cumsum(moved)
    moved_before = np.repeat(moved[windows.offsets[:-1]], windows.lengths)
    shifts = pl.Series(moved[1:] - moved_before).cast(pl.Duration("us"))
    events = windows.events.with_columns(event_time=times + shifts)
    ends = events["event_time"].gather(windows.offsets[1:] - 1)
    return replace(windows, events=events, spans=windows.spans.with_columns(ends_at=ends))
