"""Windows: the units that detectors judge.

A rule cuts the events of one source into windows. Each rule says when a window *closes*: from
that moment no event that comes in order can change it. Scoring the interval (start, end] takes
the windows that close in it, so that intervals of any length, laid end to end, judge each window
exactly once and with all of its events, and the result depends on the events alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
EVENT_COLUMNS = (
    "event_time",
    "session_key",
    "severity",
    "template_id",
    "object_key",
    "line_number",
)
# Read where it is there: sequences have no numbers.
NUMBERS = "numbers"
# Same events, same order, whatever files they came from.
EVENT_ORDER = ("event_time", "object_key", "line_number")


@dataclass(frozen=True, slots=True)
class SessionRule:
    """Events of one key, until nothing comes for `idle_timeout`.

    A run of events longer than `longest_span` is cut at the multiples of that span since the
    epoch, so that a key that never falls silent is judged too.
    """

    idle_timeout: timedelta
    longest_span: timedelta

    @property
    def lookback(self) -> timedelta:
        """How long before an interval the events matter that decide its windows: far enough to
        see where a session starts and whether its run is longer than the span. Nor does a window
        close later than this after its last event."""
        return 2 * (self.idle_timeout + self.longest_span)


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Windows of `size`, one every `step`, aligned to the epoch; empty ones do not exist."""

    size: timedelta
    step: timedelta

    @property
    def lookback(self) -> timedelta:
        return self.size


@dataclass(frozen=True, slots=True)
class CountRule:
    """Windows of `size` events, one every `step` events, counted anew each UTC day.

    The last windows of a day may be shorter; all windows of a day close when it ends.
    """

    size: int
    step: int

    @property
    def lookback(self) -> timedelta:
        return DAY


WindowRule = SessionRule | TimeRule | CountRule


@dataclass(frozen=True, slots=True)
class Windows:
    """n windows of one source, in columns.

    spans: n rows in order of `starts_at`: `window_id`, `session_key` (null but for sessions),
        `starts_at`, `ends_at` (the last event), `closes_at`; times in UTC.
    events: the windows' events, window after window, each in order of time: `event_time`,
        `severity`, `template_id`, `object_key`, `line_number`; where they are known, `numbers`: for
        each parameter its number in base units, or null (`ml.templates.quantities`).
    offsets: int64, n + 1; the events of window i are rows offsets[i] to offsets[i + 1].
    texts: the text of a template by its id, for the detectors that read it; ids may be absent.
    """

    spans: pl.DataFrame
    events: pl.DataFrame
    offsets: npt.NDArray[np.int64]
    texts: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Events per window, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def rows_of_events(self) -> npt.NDArray[np.int64]:
        """The row number of its window, for each event."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def events_of(self, row: int) -> pl.DataFrame:
        return self.events[int(self.offsets[row]) : int(self.offsets[row + 1])]

    def take(self, rows: npt.NDArray[np.integer]) -> "Windows":
        """The windows of these row numbers, in this order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        picked = starts + np.arange(offsets[-1])
        return replace(self, spans=self.spans[rows], events=self.events[picked], offsets=offsets)

    def where(self, mask: npt.NDArray[np.bool_]) -> "Windows":
        return self.take(np.flatnonzero(mask))

    def distinct(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The windows that differ in their sequence of templates: the row of the first of each,
        shape (d,), and for each window its place among these, shape (n,)."""
        codes = self.events["template_id"].rank("dense").to_numpy()
        places: dict[bytes, int] = {}
        rows: list[int] = []
        inverse = np.empty(len(self), dtype=np.int64)
        for row in range(len(self)):
            sequence = codes[self.offsets[row] : self.offsets[row + 1]].tobytes()
            place = places.setdefault(sequence, len(rows))
            if place == len(rows):
                rows.append(row)
            inverse[row] = place
        return np.array(rows, dtype=np.int64), inverse

    def sequences(self) -> list[tuple[str, ...]]:
        """The templates of each window, in order."""
        ids = self.events["template_id"].to_list()
        bounds = self.offsets.tolist()
        return [tuple(ids[start:end]) for start, end in pairwise(bounds)]

    def write(self, folder: Path) -> None:
        """Into an existing folder, as Parquet and JSON."""
        lengths = self.spans.with_columns(events=pl.Series(self.lengths))
        lengths.write_parquet(folder / "spans.parquet")
        self.events.write_parquet(folder / "events.parquet")
        (folder / "texts.json").write_text(json.dumps(dict(self.texts)))

    @classmethod
    def read(cls, folder: Path) -> "Windows":
        """What `write` wrote."""
        spans = pl.read_parquet(folder / "spans.parquet")
        offsets = np.concatenate([[0], spans["events"].cum_sum().to_numpy()]).astype(np.int64)
        events = pl.read_parquet(folder / "events.parquet")
        texts = json.loads((folder / "texts.json").read_text())
        return cls(spans.drop("events"), events, offsets, texts)

    def count_vectors(self, vocabulary: list[str]) -> sparse.csr_array:
        """How often each template of the vocabulary occurs, shape (n, len(vocabulary) + 1).

        The last column counts the events of all other templates.
        """
        positions = dict(zip(vocabulary, range(len(vocabulary)), strict=True))
        columns = (
            self.events["template_id"]
            .replace_strict(positions, default=len(vocabulary), return_dtype=pl.Int64)
            .to_numpy()
        )
        rows = self.rows_of_events
        ones = np.ones(len(columns), dtype=np.int64)
        shape = (len(self), len(vocabulary) + 1)
        return sparse.coo_array((ones, (rows, columns)), shape=shape).tocsr()


def closed_windows(
    events: pl.DataFrame, rule: WindowRule, start: datetime, end: datetime
) -> Windows:
    """The windows that close after `start` and not after `end`.

    events: the columns `EVENT_COLUMNS`, and `NUMBERS` where known, holding at least all events of
        the source from `start - rule.lookback` up to `end`; later ones are left out, as they were
        not known then.
    start, end: UTC, aware.
    """
    events = events.filter(
        pl.col("event_time").is_between(start - rule.lookback, end, closed="left")
    )
    match rule:
        case SessionRule():
            assigned = _sessions(events, rule)
        case TimeRule():
            assigned = _time_windows(events, rule)
        case CountRule():
            assigned = _count_windows(events, rule)
    return _collect(assigned.filter((pl.col("closes_at") > start) & (pl.col("closes_at") <= end)))


def _sessions(events: pl.DataFrame, rule: SessionRule) -> pl.DataFrame:
    time, span = pl.col("event_time"), rule.longest_span
    runs = (
        events.filter(pl.col("session_key").is_not_null())
        .sort("session_key", *EVENT_ORDER)
        .with_columns(
            run=(
                (pl.col("session_key") != pl.col("session_key").shift())
                | (time - time.shift() >= rule.idle_timeout)
            )
            .fill_null(True)
            .cum_sum()
        )
        .with_columns(run_start=time.min().over("run"), run_end=time.max().over("run"))
    )
    is_long = pl.col("run_end") - pl.col("run_start") > span
    overrun = time.filter(time - pl.col("run_start") > span).min()
    cell = pl.when(is_long).then(time.dt.truncate(span))
    pieces = runs.with_columns(
        cell=cell,
        # The moment at which the run is known to be longer than the span.
        known_long=overrun.over("run") + MICROSECOND,
    ).with_columns(
        piece=pl.struct("run", "cell").rle_id(),
        ends_at=time.max().over("run", "cell"),
    )
    idle_end = pl.col("ends_at") + rule.idle_timeout
    cell_end = pl.max_horizontal(pl.col("cell") + span, "known_long")
    is_last = pl.col("ends_at") == pl.col("run_end")
    return pieces.with_columns(
        starts_at=time.min().over("piece"),
        closes_at=pl.when(~is_long)
        .then(idle_end)
        .when(is_last)
        .then(pl.min_horizontal(idle_end, cell_end))
        .otherwise(cell_end),
    ).with_columns(
        window_id=pl.format("{}@{}", "session_key", _stamp(pl.col("starts_at"))),
    )


def _time_windows(events: pl.DataFrame, rule: TimeRule) -> pl.DataFrame:
    overlap = -(-rule.size // rule.step)
    first = pl.col("event_time").dt.truncate(rule.step)
    starts = [first - step * rule.step for step in range(overlap)]
    return (
        events.with_columns(session_key=pl.lit(None, pl.String), starts_at=pl.concat_list(starts))
        .explode("starts_at")
        .filter(pl.col("event_time") < pl.col("starts_at") + rule.size)
        .with_columns(
            closes_at=pl.col("starts_at") + rule.size, window_id=_stamp(pl.col("starts_at"))
        )
    )


def _count_windows(events: pl.DataFrame, rule: CountRule) -> pl.DataFrame:
    overlap = -(-rule.size // rule.step)
    nth = pl.int_range(pl.len()).over("day")
    numbers = [pl.col("nth") // rule.step - back for back in range(overlap)]
    return (
        events.sort(EVENT_ORDER)
        .with_columns(day=pl.col("event_time").dt.truncate(DAY))
        .with_columns(session_key=pl.lit(None, pl.String), nth=nth)
        .with_columns(number=pl.concat_list(numbers))
        .explode("number")
        .filter(
            (pl.col("number") >= 0) & (pl.col("nth") < pl.col("number") * rule.step + rule.size)
        )
        .with_columns(
            starts_at=pl.col("event_time").min().over("day", "number"),
            closes_at=pl.col("day") + DAY,
            window_id=pl.format("{}#{}", pl.col("day").dt.strftime("%Y%m%d"), "number"),
        )
    )


def _stamp(time: pl.Expr) -> pl.Expr:
    return time.dt.strftime("%Y%m%dT%H%M%S%.6fZ")


def _collect(assigned: pl.DataFrame) -> Windows:
    """Windows out of events that carry their window's id, start and close."""
    ordered = assigned.sort("starts_at", "window_id", *EVENT_ORDER)
    spans = ordered.group_by("window_id", maintain_order=True).agg(
        pl.col("session_key", "starts_at", "closes_at").first(),
        ends_at=pl.col("event_time").max(),
        events=pl.len(),
    )
    offsets = np.concatenate([[0], spans["events"].cum_sum().to_numpy()]).astype(np.int64)
    kept = [name for name in (*EVENT_COLUMNS, NUMBERS) if name in ordered.columns]
    kept.remove("session_key")
    return Windows(
        spans=spans.select("window_id", "session_key", "starts_at", "ends_at", "closes_at"),
        events=ordered.select(kept),
        offsets=offsets,
    )


def utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone: pass a UTC time")
    return moment.astimezone(UTC)


def windows_from_events(events: pl.DataFrame, texts: Mapping[str, str] | None = None) -> Windows:
    """Windows out of events that are grouped and ordered already.

    events: `window_id`, `template_id` and, where it is known, `severity`; the events of one window
        in order of time.
    texts: see `Windows`.
    """
    if "severity" not in events.columns:
        events = events.with_columns(severity=pl.lit(None, pl.String))
    ordered = events.sort("window_id", maintain_order=True)
    spans = ordered.group_by("window_id", maintain_order=True).agg(events=pl.len())
    offsets = np.concatenate([[0], spans["events"].cum_sum().to_numpy()]).astype(np.int64)
    return Windows(spans.select("window_id"), ordered, offsets, texts or {})
