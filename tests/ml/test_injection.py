"""Planted faults: of the kind they say, where they may be, and nowhere else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.injection import FAULTS, found_by_kind, plant

HISTORY = [["a", "b", "c", "d"], ["a", "b", "b", "d"]] * 20
LATER = [["a", "b", "c", "d"], ["a", "b", "c", "d", "d"], ["e", "a", "b", "c"]] * 100


def planted_pairs(make_windows: Any, seed: int = 0) -> list[tuple[str, Counter[str], Counter[str]]]:
    windows = make_windows(LATER)
    planted = plant(make_windows(HISTORY), windows, seed)
    return [
        (str(kind), Counter(before), Counter(after))
        for kind, before, after in zip(
            planted.kinds, windows.sequences(), planted.windows.sequences(), strict=True
        )
    ]


def test_each_kind_does_what_it_says(make_windows: Any) -> None:
    seen = set()
    for kind, before, after in planted_pairs(make_windows):
        seen.add(kind)
        more, fewer = after - before, before - after
        match kind:
            case "":
                assert not more
                assert not fewer
            case "dropped" | "silence":
                assert fewer
                assert not more
            case "repeated" | "burst":
                assert len(more) == 1
                assert not fewer
                assert more.total() <= 5 or kind == "burst"
            case "swapped":
                assert before == after
            case "foreign":
                assert more.total() == 1
                assert not before[next(iter(more))]
    assert seen == {"", *FAULTS}


def test_no_planted_window_happens_of_its_own_accord(make_windows: Any) -> None:
    history, windows = make_windows(HISTORY), make_windows(LATER)
    planted = plant(history, windows, seed=1)
    known = {*history.sequences(), *windows.sequences()}
    for row, sequence in enumerate(planted.windows.sequences()):
        assert (sequence not in known) == bool(planted.is_anomalous[row])


def test_the_seed_says_where(make_windows: Any) -> None:
    one, again, other = (planted_pairs(make_windows, seed) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("sequences", [[], [["a"]]], ids=["no windows", "a single event"])
def test_too_little_to_plant_in_is_left_as_it_is(
    sequences: list[list[str]], make_windows: Any
) -> None:
    planted = plant(make_windows([["a"]]), make_windows(sequences), 0)
    assert not planted.is_anomalous.any()
    assert planted.windows.sequences() == [tuple(each) for each in sequences]


def test_shares_are_counted_by_kind() -> None:
    kinds = np.array(["", "burst", "burst", "swapped", ""])
    found = found_by_kind(np.array([True, True, False, False, False]), kinds)
    assert {kind: (each.planted, each.found) for kind, each in found.items()} == {
        "swapped": (1, 0),
        "burst": (2, 1),
    }
    assert found["burst"].share == 0.5


def test_slow_numbers_are_planted_where_there_are_numbers(make_numbered: Any) -> None:
    rng = np.random.default_rng(0)
    draws = rng.gamma(4, 12, size=(600, 3)).round()
    history, windows = (make_numbered(part.tolist()) for part in np.split(draws, 2))
    planted = plant(history, windows, seed=0)
    slow = np.flatnonzero(planted.kinds == "slow")
    assert len(slow) == 20
    for row in range(len(windows)):
        before, after = (
            np.array(each.events_of(row)["numbers"].drop_nulls().to_list())
            for each in (windows, planted.windows)
        )
        if row in slow:
            factors = after / before
            assert factors[:, 0].tolist() == [1.0] * 3
            assert 10 <= factors[0, 1] <= 100
            assert factors[:, 1] == pytest.approx(factors[0, 1])
            assert after[:, 1].max() > draws.max()
        elif not planted.kinds[row]:
            assert (after == before).all()


def test_a_foreign_event_has_no_numbers_of_others(make_numbered: Any) -> None:
    draws = np.random.default_rng(0).gamma(4, 12, size=(400, 3)).round()
    history, windows = (make_numbered(part.tolist()) for part in np.split(draws, 2))
    known = {"w", "v"}
    renamed = windows.events.with_columns(
        template_id=pl.when(pl.int_range(pl.len()) < 300).then(pl.lit("v")).otherwise("template_id")
    )
    planted = plant(history, replace(windows, events=renamed), seed=0)
    assert set(planted.windows.events["template_id"]) == known
    (rows,) = np.nonzero(planted.kinds == "foreign")
    assert len(rows)
    for row in rows:
        events = planted.windows.events_of(int(row))
        (foreign,) = events.filter(pl.col("template_id").is_unique())["numbers"]
        assert foreign is None
