"""Sequences of events as networks read them: codes, batches, and the loop that trains.

A window's templates are numbered by the vocabulary of the training windows; one number stands for
all templates outside it. Networks learn and judge each distinct sequence once. Longer ones are cut
into pieces, so that memory does not grow with a window.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LONGEST_PIECE = 256
# Events in one batch, padding included.
BATCH_EVENTS = 2048
# Lines of concurrent processes arrive a few places earlier or later.
PLACES_MOVED = 4.0

STEPS_PER_CHECK = 50
LEAST_GAIN = 0.01
# What a batch with its events mixed weighs, beside the same in order.
WEIGHT_OF_MIXED = 0.5
FIRST_RATE, LAST_RATE = 4e-3, 5e-4
LARGEST_GRADIENT = 1.0

# The surprise of a template that training never showed, in nats: more than networks give to what
# they know.
UNSEEN_SURPRISE = 20.0

# Distinct windows scored at a time: bounds memory.
BLOCK_SEQUENCES = 4096

log = logging.getLogger(__name__)

# Pieces, shape (b,), with the kind of each event and its surprise, both of shape (b, longest).
Surprises = tuple[Ints, torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Sequences:
    """The d distinct sequences of some windows, in p pieces.

    codes: all events, piece after piece: the place of the template in the vocabulary, or its
        length for a template outside it.
    offsets: p + 1; the events of piece i are codes[offsets[i]] to codes[offsets[i + 1]].
    owners: the sequence of each piece, shape (p,).
    places: the sequence of each window, shape (n,).
    """

    codes: Ints
    offsets: Ints
    owners: Ints
    places: Ints
    padding: int

    @classmethod
    def of(cls, windows: Windows, vocabulary: list[str]) -> "Sequences":
        rows, places = windows.distinct()
        distinct = windows.take(rows)
        positions = dict(zip(vocabulary, range(len(vocabulary)), strict=True))
        codes = distinct.events["template_id"].replace_strict(
            positions, default=len(vocabulary), return_dtype=pl.Int64
        )
        pieces = np.maximum(-(-distinct.lengths // LONGEST_PIECE), 1)
        owners = np.repeat(np.arange(len(rows)), pieces)
        number = np.arange(len(owners)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = distinct.offsets[:-1][owners] + number * LONGEST_PIECE
        offsets = np.append(starts, distinct.offsets[-1])
        return cls(codes.to_numpy(), offsets, owners, places, len(vocabulary) + 1)

    @property
    def lengths(self) -> Ints:
        """Events per piece, shape (p,)."""
        return np.diff(self.offsets)

    @property
    def multiplicity(self) -> Ints:
        """Windows with each sequence, shape (d,)."""
        return np.bincount(self.places)

    def padded(self, pieces: Ints, mixed_by: np.random.Generator | None = None) -> Ints:
        """Codes of these pieces, shape (len(pieces), longest), filled up with `padding`.

        mixed_by: each event moves up to `PLACES_MOVED` places among the others.
        """
        lengths = self.lengths[pieces]
        grid = np.arange(lengths.max(initial=0))
        is_event = grid < lengths[:, None]
        order = np.broadcast_to(grid, is_event.shape)
        if mixed_by is not None:
            moved = order + mixed_by.uniform(-PLACES_MOVED, PLACES_MOVED, is_event.shape)
            order = np.argsort(np.where(is_event, moved, np.inf), axis=1)
        found = self.offsets[pieces][:, None] + order
        return np.where(is_event, self.codes[np.where(is_event, found, 0)], self.padding)

    def batches(self, drawn_by: np.random.Generator | None = None) -> Iterator[Ints]:
        """All pieces, those of like length together, in batches of about `BATCH_EVENTS`; in
        another order each time when drawn by a generator."""
        lengths = self.lengths + 1.0
        if drawn_by is not None:
            lengths = lengths * drawn_by.uniform(0.8, 1.25, len(lengths))
        order = np.argsort(lengths, kind="stable")
        room = np.maximum(BATCH_EVENTS // (self.lengths[order] + 1), 1)
        starts = [0]
        while starts[-1] < len(order):
            # Lengths grow: what the first piece leaves room for is more than enough.
            most = room[starts[-1] : starts[-1] + room[starts[-1]]]
            fitting = np.flatnonzero(np.arange(1, len(most) + 1) <= most)
            starts.append(starts[-1] + int(fitting[-1]) + 1)
        batches = [order[start:end] for start, end in pairwise(starts)]
        if drawn_by is not None:
            drawn_by.shuffle(batches)
        yield from batches


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def reproducible(seed: int = 0) -> Iterator[None]:
    """Randomness of one's own, and one thread: the same sums whatever the number of cores. Networks
    as small as these gain nothing from more, and tasks side by side lose by them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def train(
    network: nn.Module,
    sequences: Sequences,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    most_steps: int,
    rng: np.random.Generator,
    weight_of_mixed: float = WEIGHT_OF_MIXED,
) -> None:
    """Fit a network to sequences, each weighted by 1 + log(windows that have it).

    Every batch is learnt as it is and, with another weight, with its events mixed: what differs
    from normal only by who came first in a race then counts for less, and what is missing or too
    many for more. The rate halves when `STEPS_PER_CHECK` steps gain nothing, and training stops
    when it is too small or after `most_steps`.

    loss_of: the mean loss of each piece of a batch: codes of shape (b, longest) in, (b,) out.
    """
    weights = (1 + np.log(sequences.multiplicity))[sequences.owners]
    optimizer = torch.optim.AdamW(network.parameters(), lr=FIRST_RATE)
    losses: list[float] = []
    lowest = np.inf
    network.train()
    for step, pieces in enumerate(_again_and_again(sequences, rng), start=1):
        both = np.concatenate([sequences.padded(pieces), sequences.padded(pieces, rng)])
        weight = torch.from_numpy(np.outer([1.0, weight_of_mixed], weights[pieces]).ravel()).to(
            device()
        )
        loss = (loss_of(torch.from_numpy(both).to(device())) * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == STEPS_PER_CHECK:
            mean, losses = float(np.mean(losses)), []
            log.info("step %d of at most %d: loss %.4f", step, most_steps, mean)
            group = optimizer.param_groups[0]
            if mean > lowest * (1 - LEAST_GAIN):
                group["lr"] /= 2
            lowest = min(lowest, mean)
            if group["lr"] < LAST_RATE or step >= most_steps:
                break
    network.eval()


def _again_and_again(sequences: Sequences, rng: np.random.Generator) -> Iterator[Ints]:
    while True:
        yield from sequences.batches(rng)


def scores_of_sequences(windows: Windows, score_distinct: Callable[[Windows], Floats]) -> Floats:
    """One score a window, shape (n,), from a function that scores windows no two of which have
    the same sequence; it gets a block of these at a time."""
    rows, places = windows.distinct()
    scores = [np.empty(0)]
    for start in range(0, len(rows), BLOCK_SEQUENCES):
        scores.append(score_distinct(windows.take(rows[start : start + BLOCK_SEQUENCES])))
    return np.concatenate(scores)[places]


def combined(surprises: Iterator[Surprises], sequences: Sequences, kinds: int) -> Floats:
    """One score a sequence, shape (d,), out of the surprises of its events.

    Of each kind of event only the most surprising one counts, and the score is the Euclidean
    length over the kinds: one event that cannot be weighs as much as many that are unlikely.
    """
    highest = np.zeros((len(sequences.multiplicity), kinds))
    for pieces, kind, surprise in surprises:
        found = torch.zeros(len(pieces), kinds, dtype=surprise.dtype, device=surprise.device)
        found.scatter_reduce_(1, kind, surprise, "amax")
        np.maximum.at(highest, sequences.owners[pieces], found.cpu().numpy())
    scores: Floats = np.sqrt((highest**2).sum(axis=1))
    return scores


def write_network(network: nn.Module, path: Path) -> None:
    state = {name: each.cpu().numpy() for name, each in network.state_dict().items()}
    np.savez_compressed(path, **state)


def read_network(network: nn.Module, path: Path) -> None:
    """Fill a network of the same shape with what `write_network` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays})
    network.to(device()).eval()
