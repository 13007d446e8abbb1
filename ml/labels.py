"""Labels: what people know of a source's windows."""

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.model import CONTAMINATION
from ml.windows import Windows

Bools = npt.NDArray[np.bool_]

# What nobody has spoken of is fewer then than what would be taken to be anomalous.
LEAST_LOOKED_AT = 1 - CONTAMINATION


def anomalous_windows(windows: Windows, labels: pl.DataFrame) -> Bools:
    """Which windows are labelled anomalous, shape (n,).

    labels: `session_key`, `starts_at`, `ends_at` (UTC), `is_anomalous`. A label with a session
    key speaks of the windows of that session, one with an interval of the windows that hold an
    event with starts_at <= event_time < ends_at, one with both of where both hold. Windows that
    no label speaks of count as normal; so do those that labels call normal.
    """
    return _spoken_of(windows, labels.filter("is_anomalous"))


def are_looked_at(windows: Windows, labels: pl.DataFrame) -> bool:
    """Whether people have looked through the windows: they have found an anomaly there, or their
    labels, see `anomalous_windows`, speak of nearly all of them."""
    if anomalous_windows(windows, labels).any():
        return True
    return bool(len(windows) and _spoken_of(windows, labels).mean() >= LEAST_LOOKED_AT)


def _spoken_of(windows: Windows, labels: pl.DataFrame) -> Bools:
    """Which windows a label speaks of, whatever it says, shape (n,)."""
    by_key = labels.filter(pl.col("starts_at").is_null())
    found = windows.spans["session_key"].is_in(by_key["session_key"].drop_nulls().implode())
    result = found.fill_null(False).to_numpy().copy()
    timed = labels.filter(pl.col("starts_at").is_not_null())
    if len(timed):
        result[_rows_in_intervals(windows, timed)] = True
    return result


def _rows_in_intervals(windows: Windows, timed: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Row numbers of the windows that hold an event of one of the intervals."""
    rows = windows.rows_of_events
    events = windows.events.select("event_time").with_columns(
        row=pl.Series(rows), key=windows.spans["session_key"].gather(rows)
    )
    inside = events.join_where(
        timed.select("starts_at", "ends_at", label_key="session_key"),
        pl.col("event_time") >= pl.col("starts_at"),
        pl.col("event_time") < pl.col("ends_at"),
    ).filter(pl.col("label_key").is_null() | (pl.col("label_key") == pl.col("key")))
    return inside["row"].unique().to_numpy()
