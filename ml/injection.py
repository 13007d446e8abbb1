"""Faults planted in windows taken to be normal: a figure for logs that nobody has labelled.

dropped    a few neighbouring events are missing
repeated   an event comes again, up to five times
swapped    two neighbouring events have changed places
foreign    an event that belongs into other windows
burst      an event comes as often as all others together, at least twenty times
silence    the window falls silent before its middle
slow       a number of one kind, as a latency or a size, is ten to a hundred times as large
"""

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.altered import rearranged, with_numbers
from ml.ranges import PLACE, Ranges
from ml.windows import Windows

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Sequence = tuple[str, ...]

# Of the windows, so many get a fault: few, as in life, so that the rest still says what is usual.
SHARE = 0.05
# At least so many of each kind, where there are windows enough: a share found in fewer says little.
LEAST_OF_A_KIND = 20
# And never more than this share of the windows.
LARGEST_SHARE = 0.5
MOST_REPEATS = 5
LEAST_BURST = 20
SLOWER = (10.0, 100.0)
TRIES = 10


@dataclass(frozen=True, slots=True)
class Planted:
    """windows: the given ones, in their order, some with a fault.

    is_anomalous: which have one, shape (n,). kinds: of which kind, `""` for none, shape (n,).
    """

    windows: Windows
    is_anomalous: Bools
    kinds: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Found:
    planted: int
    found: int

    @property
    def share(self) -> float:
        return self.found / self.planted


def plant(history: Windows, windows: Windows, seed: int) -> Planted:
    """Plant faults of all kinds, equally many of each where the windows allow it.

    history: earlier windows. Foreign events are of templates that these or the windows know. No
        planted window is equal to one of these or of the windows, in its sequence of templates,
        and no slow number as small as one of theirs: what happens of its own accord is no fault.
        Numbers are slow where these have a range; where none has, none is planted.
    """
    rng = np.random.default_rng(seed)
    sequences = windows.sequences()
    known = {*history.sequences(), *sequences}
    templates = sorted({template for sequence in known for template in sequence})
    numbers = _Numbers.of(history, windows)
    possible = [kind for kind in KINDS if kind != SLOW or len(numbers.table)]
    per_kind = _number_of_a_kind(len(windows), len(possible))
    free = list(rng.permutation(len(windows)))
    kinds = np.full(len(windows), "", dtype="<U8")
    changed: dict[int, Ints] = {}
    slowed: list[pl.DataFrame] = []
    for kind in possible:
        unfit, planted = [], 0
        while free and planted < per_kind:
            row = int(free.pop())
            found: Ints | pl.DataFrame | None
            if kind == SLOW:
                found = numbers.slowed(row, rng)
            else:
                found = _fault(kind, sequences[row], templates, known, rng)
            if found is None:
                unfit.append(row)
                continue
            if isinstance(found, pl.DataFrame):
                slowed.append(found)
            else:
                changed[row] = found
            kinds[row] = kind
            planted += 1
        free = unfit + free
    if slowed:
        windows = with_numbers(windows, pl.concat(slowed))
    return Planted(rearranged(windows, changed, templates), kinds != "", kinds)


def found_by_kind(is_flagged: Bools, kinds: npt.NDArray[np.str_]) -> dict[str, Found]:
    """How many faults of each kind are flagged; kinds that could not be planted are left out."""
    return {
        kind: Found(int(of_kind.sum()), int((of_kind & is_flagged).sum()))
        for kind in KINDS
        if (of_kind := kinds == kind).any()
    }


# A fault is a list of places: an event of the window, by its place in it, or an event of the n-th
# template as -1 - n.
Fault = Callable[[Sequence, list[str], np.random.Generator], "list[int] | None"]


def _dropped(sequence: Sequence, templates: list[str], rng: np.random.Generator) -> list[int]:
    length = int(rng.integers(1, max(1, len(sequence) // 4) + 1))
    start = int(rng.integers(0, len(sequence) - length + 1))
    places = list(range(len(sequence)))
    return places[:start] + places[start + length :]


def _repeated(sequence: Sequence, templates: list[str], rng: np.random.Generator) -> list[int]:
    return _again(sequence, int(rng.integers(1, MOST_REPEATS + 1)), rng)


def _burst(sequence: Sequence, templates: list[str], rng: np.random.Generator) -> list[int]:
    return _again(sequence, max(LEAST_BURST, len(sequence)), rng)


def _again(sequence: Sequence, times: int, rng: np.random.Generator) -> list[int]:
    place = int(rng.integers(len(sequence)))
    places = list(range(len(sequence)))
    return [*places[:place], *[place] * times, *places[place:]]


def _swapped(
    sequence: Sequence, templates: list[str], rng: np.random.Generator
) -> list[int] | None:
    changes = [n for n in range(len(sequence) - 1) if sequence[n] != sequence[n + 1]]
    if not changes:
        return None
    place = int(rng.choice(changes))
    places = list(range(len(sequence)))
    places[place : place + 2] = [place + 1, place]
    return places


def _foreign(
    sequence: Sequence, templates: list[str], rng: np.random.Generator
) -> list[int] | None:
    others = [n for n, template in enumerate(templates) if template not in sequence]
    if not others:
        return None
    place = int(rng.integers(len(sequence) + 1))
    places = list(range(len(sequence)))
    return [*places[:place], -1 - int(rng.choice(others)), *places[place:]]


def _silence(
    sequence: Sequence, templates: list[str], rng: np.random.Generator
) -> list[int] | None:
    if len(sequence) < 2:
        return None
    return list(range(int(rng.integers(1, len(sequence) // 2 + 1))))


FAULTS: dict[str, Fault] = {
    "dropped": _dropped,
    "repeated": _repeated,
    "swapped": _swapped,
    "foreign": _foreign,
    "burst": _burst,
    "silence": _silence,
}
SLOW = "slow"
KINDS = (*FAULTS, SLOW)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of the windows that may be slow: `Ranges.numbers` with `highest`, what was ever
    in their place. starts: where the rows of each window begin, shape (n + 1,)."""

    table: pl.DataFrame
    starts: Ints

    @classmethod
    def of(cls, history: Windows, windows: Windows) -> "_Numbers":
        ranges = Ranges.fit(history)
        parts = [ranges.numbers(part) for part in (history, windows)]
        highest = pl.concat(parts).group_by(PLACE).agg(highest=pl.col("number").max())
        table = parts[1].join(highest, on=PLACE, maintain_order="left")
        return cls(table, np.searchsorted(table["window"], np.arange(len(windows) + 1)))

    def slowed(self, row: int, rng: np.random.Generator) -> pl.DataFrame | None:
        """The numbers of one place of a window, multiplied; None where that would be usual."""
        of_window = self.table[int(self.starts[row]) : int(self.starts[row + 1])]
        places = of_window.select(PLACE).unique(maintain_order=True)
        for _ in range(TRIES if len(places) else 0):
            factor = float(np.exp(rng.uniform(*np.log(SLOWER))))
            of_place = of_window.join(places[int(rng.integers(len(places)))], on=PLACE)
            slow = of_place.with_columns(pl.col("number") * factor)
            if (slow["number"] > slow["highest"]).any():
                return slow
        return None


def _fault(
    kind: str,
    sequence: Sequence,
    templates: list[str],
    known: Set[Sequence],
    rng: np.random.Generator,
) -> Ints | None:
    """The places of the window with a fault, None where none is found that nobody knows."""
    for _ in range(TRIES):
        places = FAULTS[kind](sequence, templates, rng)
        if not places:
            return None
        after = tuple(sequence[n] if n >= 0 else templates[-1 - n] for n in places)
        if after not in known:
            return np.array(places, dtype=np.int64)
    return None


def _number_of_a_kind(windows: int, kinds: int) -> int:
    wanted = max(LEAST_OF_A_KIND * kinds, round(windows * SHARE))
    return min(wanted, round(windows * LARGEST_SHARE)) // kinds
