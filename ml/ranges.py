"""The range of the numbers in each place of a template, and how far outside of it a number lies.

A latency, a size, a number of attempts: what a message of its kind never said before. Numbers that
only tell things apart (identifiers, ports, counters, times) have no range. In sessions the pause
before an event is a number too: an event may come later than ever.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.windows import NUMBERS, Windows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Fewer windows with a number in this place say too little.
LEAST_WINDOWS = 20
# A number that hardly varies is a state, of which the next value says nothing.
LEAST_DISTINCT = 5
# A place holds numbers where nearly all its values are.
LEAST_SHARE_OF_NUMBERS = 0.95
# Of a steady place's later values so many may leave the range of the earlier ones, and a few more
# where there are few.
LARGEST_SHARE_ASTRAY = 0.05
FEW_ASTRAY = 5
# The share of the values, and the least number of them, that tell how fast a tail falls.
TAIL_SHARE = 0.1
LEAST_TAIL = 20
# No tail is taken to fall faster than to 1/e with a fifth more.
LEAST_SCALE = 0.2
PERIODS = 10
# What detectors make of it: at an excess of 7 a number says as much as an unseen template.
WEIGHT_OF_EXCESS = 0.1
PLACE = ["template_id", "parameters", "place"]
# The place of the seconds since the event before, in the session.
PAUSE = -1
# What takes less than a second longer is not late; nor is what takes less than ten times as long
# as ever: work waits for other work.
PAUSE_UNIT_S = 1.0
LEAST_TIMES_AS_LONG = 10
RANGE_SCHEMA = pl.Schema(
    {
        "template_id": pl.String(),
        "parameters": pl.UInt32(),
        "place": pl.Int64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "unit": pl.Float64(),
        "below": pl.Float64(),
        "above": pl.Float64(),
    }
)
PAUSE_SCHEMA = pl.Schema(
    {
        "window": pl.Int64(),
        "event": pl.Int64(),
        "template_id": pl.String(),
        "number": pl.Float64(),
    }
)


@dataclass(frozen=True, slots=True)
class Ranges:
    """The normal range of each place that has one.

    A place is a parameter of a template, by its number from 0 and by how many parameters there
    are, since a template that was widened has events of several forms; or the pause before its
    events, of which only the upper end counts. On the scale of
    log(1 + |number| / unit) the tails of a range are taken to fall exponentially beyond it, which
    is a power law of the numbers themselves: the scale of each is the mean excess over what nine
    in ten values lie below (Hill, "A simple general approach to inference about the tail of a
    distribution", 1975). Most tails fall faster; for these the distance is understated.

    Beyond a range that n values made, one in n * exp(excess) values is to be expected. A number is
    odd where that is fewer than one among `PERIODS` times as many lines as were learnt, all places
    taken together.

    table: RANGE_SCHEMA: `low` and `high`, the least and the greatest number that is normal; `unit`;
        `below` and `above`, the scales of the tails.
    """

    table: pl.DataFrame

    @classmethod
    def fit(cls, windows: Windows, anomalous: int = 0) -> "Ranges":
        """windows: in order of time. anomalous: how many of them may be anomalous; that share of
        each place's windows is not trusted at either end."""
        share = anomalous / max(len(windows), 1)
        rows = []
        # A form of a template at a time, as all numbers at once would take much room.
        for (template_id, count), events in _with_numbers(windows).group_by(PLACE[:2]):
            of_windows = events["window"].to_numpy()
            numbers = events[NUMBERS].explode().to_numpy().reshape(-1, int(count))
            for place, of_place in enumerate(numbers.T):
                found = _range(of_place, of_windows, share)
                if found is not None:
                    rows.append((template_id, count, place, *found))
        for (template_id,), events in _pauses(windows).group_by("template_id"):
            pauses = events["number"].to_numpy()
            found = _range(pauses, events["window"].to_numpy(), share, PAUSE_UNIT_S)
            if found is not None:
                rows.append((template_id, 0, PAUSE, 0.0, *found[1:]))
        return cls(pl.DataFrame(rows, schema=RANGE_SCHEMA, orient="row").sort(PLACE))

    @property
    def _bound(self) -> float:
        """The excess from which on a number is odd: the more places, the higher."""
        return float(np.log(PERIODS * 2 * max(len(self.table), 1)))

    def excess_of_events(self, windows: Windows) -> Floats:
        """How far the oddest number of each event lies outside its range, shape (events,), in
        scales of the range's tail; 0 for events without odd numbers, that is nearly all."""
        excess = np.zeros(len(windows.events))
        odd = self.odd(windows)
        np.maximum.at(excess, odd["event"].to_numpy(), odd["excess"].to_numpy())
        return excess

    def added_to(self, scores: Floats, windows: Windows) -> Floats:
        """Scores, shape (n,), with the oddest number of each window as one more thing that is odd.

        An excess in scales of an exponential tail is a surprise in nats.
        """
        excess = np.zeros(len(windows))
        np.maximum.at(excess, windows.rows_of_events, self.excess_of_events(windows))
        return np.where(excess > 0, np.hypot(np.maximum(scores, 0), excess), scores)

    def odd(self, windows: Windows) -> pl.DataFrame:
        """The odd numbers: `window` and `event` by row number, the columns of `table`, `number`,
        and by how many scales of the tail it is outside its range, `excess`."""
        size, low, high = (
            _magnitude(pl.col(name), pl.col("unit")) for name in ("number", "low", "high")
        )
        excess = pl.max_horizontal((size - high) / pl.col("above"), (low - size) / pl.col("below"))
        return pl.concat(
            numbers.filter(excess > self._bound).with_columns(excess=excess)
            for numbers in (self.numbers(windows), self._late(windows))
        )

    def _late(self, windows: Windows) -> pl.DataFrame:
        """The pauses far above their range, as rows of `numbers`."""
        pauses = _pauses(windows).join(
            self.table.filter(pl.col("place") == PAUSE), on="template_id", maintain_order="left"
        )
        is_late = pl.col("number") > LEAST_TIMES_AS_LONG * (PAUSE_UNIT_S + pl.col("high"))
        late = pauses.filter(is_late)
        return late.select("window", "event", *PLACE, *self.table.columns[3:], "number")

    def numbers(self, windows: Windows) -> pl.DataFrame:
        """All numbers of parameters that have a range: `window` and `event` by row number, in their
        order, the columns of `table`, and `number`."""
        return (
            _with_numbers(windows)
            .filter(pl.col("template_id").is_in(self.table["template_id"].unique().implode()))
            .with_columns(place=pl.int_ranges("parameters"))
            .explode(NUMBERS, "place")
            .rename({NUMBERS: "number"})
            .drop_nulls("number")
            .join(self.table, on=PLACE, maintain_order="left")
            .select("window", "event", *self.table.columns, "number")
        )


def _with_numbers(windows: Windows) -> pl.DataFrame:
    """The events with parameters: `window` and `event` by row number, `template_id`, NUMBERS and
    how many these are, `parameters`."""
    events = windows.events
    if NUMBERS not in events.columns:
        events = events.with_columns(pl.lit(None, pl.List(pl.Float64)).alias(NUMBERS))
    return (
        events.select("template_id", NUMBERS, parameters=pl.col(NUMBERS).list.len())
        .with_columns(
            window=pl.Series(windows.rows_of_events), event=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        .filter(pl.col("parameters") > 0)
    )


def _pauses(windows: Windows) -> pl.DataFrame:
    """The events of sessions but the first of each: `window` and `event` by row number,
    `template_id`, and the seconds since the event before as `number`."""
    if "event_time" not in windows.events.columns:
        return pl.DataFrame(schema=PAUSE_SCHEMA)
    of_window = windows.rows_of_events
    is_later = np.append([False], of_window[1:] == of_window[:-1])[: len(of_window)]
    is_session = windows.spans["session_key"].is_not_null().to_numpy()
    return (
        windows.events.select(
            "template_id", number=pl.col("event_time").diff().dt.total_microseconds() / 1e6
        )
        .with_columns(window=pl.Series(of_window), event=pl.int_range(pl.len(), dtype=pl.Int64))
        .filter(pl.Series(is_later & is_session[of_window]))
        .select(list(PAUSE_SCHEMA))
    )


def _magnitude(number: pl.Expr, unit: pl.Expr) -> pl.Expr:
    return number.sign() * (1 + number.abs() / unit).log()


def _range(
    numbers: Floats, of_windows: Ints, share: float, unit: float | None = None
) -> tuple[float, float, float, float, float] | None:
    """The range of the numbers of one place, in order of time; NaN where a value is none. None
    where it has no range. unit: what counts as one, where small numbers do not."""
    is_number = np.isfinite(numbers)
    values, of_windows = numbers[is_number], of_windows[is_number]
    windows, of_window = np.unique(of_windows, return_inverse=True)
    if len(windows) < LEAST_WINDOWS or len(values) < LEAST_SHARE_OF_NUMBERS * len(numbers):
        return None
    distinct = np.unique(values)
    if len(distinct) < LEAST_DISTINCT or _tells_apart(values, distinct, len(windows)):
        return None
    if not _is_steady(values):
        return None
    greatest, least = np.full(len(windows), -np.inf), np.full(len(windows), np.inf)
    np.maximum.at(greatest, of_window, values)
    np.minimum.at(least, of_window, values)
    untrusted = int(share * len(windows))
    high = float(np.sort(greatest)[-1 - untrusted])
    low = min(float(np.sort(least)[untrusted]), high)
    if unit is None:
        unit = float(min(1.0, np.abs(values[values != 0]).min(initial=1.0)))
    within = np.clip(values, low, high)
    magnitudes = np.sign(within) * np.log1p(np.abs(within) / unit)
    return low, high, unit, _scale(-magnitudes), _scale(magnitudes)


def _tells_apart(values: Floats, distinct: Floats, windows: int) -> bool:
    """Whether these are identifiers: whole numbers, nearly each window with one of its own, that
    fill their range evenly, as no quantity does that has a usual size."""
    if len(distinct) < windows / 2 or (distinct != np.round(distinct)).any():
        return False
    least, greatest = distinct[0], distinct[-1]
    return bool(1 / 3 < (np.median(values) - least) / (greatest - least) < 2 / 3)


def _is_steady(values: Floats) -> bool:
    """Whether the later half of the values stays in the range of the earlier: counters and times do
    not."""
    earlier, later = np.array_split(values, 2)
    astray = np.count_nonzero((later < earlier.min()) | (later > earlier.max()))
    return bool(astray <= FEW_ASTRAY + LARGEST_SHARE_ASTRAY * len(later))


def _scale(magnitudes: Floats) -> float:
    """The mean excess of the upper tail."""
    n = len(magnitudes)
    top = np.sort(magnitudes)[-max(int(TAIL_SHARE * n), min(n // 2, LEAST_TAIL)) :]
    return max(float((top - top[0]).mean()), LEAST_SCALE)
