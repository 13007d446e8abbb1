"""The next-event model: what it sees that counts do not, and what it lets pass."""

from __future__ import annotations

import numpy as np
import pytest

from ml.checks import sessions
from ml.detectors.lstm import Lstm
from ml.detectors.sequences import LONGEST_PIECE, Sequences

# Two writers race; then a check, a commit and a close, always in this order.
USUAL = [
    ["open", "write", "ack", "write", "ack", "check", "commit", "close"],
    ["open", "write", "write", "ack", "ack", "check", "commit", "close"],
] * 60


@pytest.fixture(scope="module")
def lstm() -> Lstm:
    return Lstm().fit(sessions(USUAL))


def _score(detector: Lstm, *sequences: list[str]) -> list[float]:
    return [float(detector.score(sessions([each]))[0]) for each in sequences]


@pytest.mark.parametrize(
    "odd",
    [
        ["open", "write", "ack", "write", "ack", "check", "commit"],
        ["open", "write", "ack", "write", "check", "commit", "close"],
        ["open", "write", "ack", "write", "ack", "write", "ack", "check", "commit", "close"],
        ["open", "commit", "write", "ack", "write", "ack", "check", "close"],
        ["open", "write", "ack", "write", "ack", "check", "failure", "commit", "close"],
    ],
    ids=["no end", "one ack less", "one write more", "commit first", "unseen"],
)
def test_what_never_was_is_more_surprising_than_anything_usual(lstm: Lstm, odd: list[str]) -> None:
    assert _score(lstm, odd)[0] > 2 * max(_score(lstm, *USUAL[:2]))


def test_events_that_race_surprise_less_than_events_that_fail_to_appear(lstm: Lstm) -> None:
    raced = ["open", "write", "ack", "write", "check", "ack", "commit", "close"]
    missing = ["open", "write", "ack", "write", "check", "commit", "close"]
    of_raced, of_missing = _score(lstm, raced, missing)
    assert of_raced < of_missing


def test_a_long_window_is_read_to_its_end(lstm: Lstm) -> None:
    long = ["open"] + ["write", "ack"] * LONGEST_PIECE + ["check", "commit", "close"]
    of_long, of_odd = _score(lstm, long, [*long[:-3], "failure", *long[-3:]])
    assert of_odd > of_long


def test_pieces_hold_all_events_of_all_windows_once() -> None:
    lengths = [1, LONGEST_PIECE, LONGEST_PIECE + 1, 3 * LONGEST_PIECE + 7]
    windows = sessions([["a", "b"] * (n // 2) + ["a"] * (n % 2) for n in lengths])
    sequences = Sequences.of(windows, ["a"])
    found = np.bincount(sequences.owners, sequences.lengths)
    assert found[sequences.places].tolist() == lengths
    batched = np.concatenate(list(sequences.batches()))
    assert sorted(batched.tolist()) == list(range(len(sequences.lengths)))
