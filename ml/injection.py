"""Faults planted in windows taken to be normal: a figure for logs that nobody has labelled.

dropped    a few neighbouring events are missing
repeated   an event comes again, up to five times
swapped    two neighbouring events have changed places
foreign    an event that belongs into other windows
burst      an event comes as often as all others together, at least twenty times
silence    the window falls silent before its middle
"""

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

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
        planted window is equal to one of these or of the windows, in its sequence of templates:
        what happens of its own accord is no fault.
    """
    rng = np.random.default_rng(seed)
    sequences = windows.sequences()
    known = {*history.sequences(), *sequences}
    templates = sorted({template for sequence in known for template in sequence})
    per_kind = _number_of_a_kind(len(windows))
    free = list(rng.permutation(len(windows)))
    kinds = np.full(len(windows), "", dtype="<U8")
    changed: dict[int, Ints] = {}
    for kind in KINDS:
        unfit, planted = [], 0
        while free and planted < per_kind:
            row = int(free.pop())
            found = _fault(kind, sequences[row], templates, known, rng)
            if found is None:
                unfit.append(row)
            else:
                kinds[row], changed[row] = kind, found
                planted += 1
        free = unfit + free
    return Planted(_rebuilt(windows, changed, templates), kinds != "", kinds)


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
KINDS = tuple(FAULTS)


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


def _number_of_a_kind(windows: int) -> int:
    wanted = max(LEAST_OF_A_KIND * len(KINDS), round(windows * SHARE))
    return min(wanted, round(windows * LARGEST_SHARE)) // len(KINDS)


def _rebuilt(windows: Windows, changed: dict[int, Ints], templates: list[str]) -> Windows:
    """The windows with the events of some of them taken from other places.

    The moments of a window stay in order; an event that comes on top stands at the moment of the
    one before it.
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
    spans = windows.spans
    if "event_time" in rebuilt.columns:
        rebuilt = rebuilt.with_columns(windows.events["event_time"].gather(moment))
        spans = spans.with_columns(ends_at=rebuilt["event_time"].gather(offsets[1:] - 1))
    return replace(windows, spans=spans, events=rebuilt, offsets=offsets)


def _filled(places: Ints) -> Ints:
    """The places with that of the event before in the place of foreign events."""
    last = np.maximum.accumulate(np.where(places < 0, -1, np.arange(len(places))))
    return np.where(last < 0, 0, places[last])
