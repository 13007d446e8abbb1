"""Novelty: what was never there before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.detectors.novelty import Novelty

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40


@pytest.mark.parametrize(
    "sequence",
    [
        pytest.param(["a", "x", "b", "c"], id="a new template"),
        pytest.param(["a", *["b"] * 30, "c"], id="far too many of one"),
        pytest.param(["b", "c"], id="a missing step"),
        pytest.param(["c", "b", "a"], id="the wrong order"),
    ],
)
def test_each_kind_of_oddity_is_found_alone(sequence: list[str], make_windows: Any) -> None:
    detector = Novelty().fit(make_windows(USUAL))
    *usual, odd = detector.score(make_windows([*USUAL, sequence]))
    assert max(usual) == 0
    assert odd > 1


def test_what_is_odder_scores_higher(make_windows: Any) -> None:
    detector = Novelty().fit(make_windows(USUAL))
    odder = [["a", "b", "c", *["x"] * count, *list("uvwyz")[:count]] for count in range(4)]
    scores = detector.score(make_windows(odder)).tolist()
    assert scores == sorted(set(scores))


def test_what_never_varies_tells_more_than_what_does(make_windows: Any) -> None:
    normal = [["start", *["read"] * reads, "end"] for reads in range(1, 9)] * 5
    detector = Novelty().fit(make_windows(normal))
    twice, often = detector.score(
        make_windows([["start", "start", "read", "end"], ["start", *["read"] * 12, "end"]])
    )
    assert twice > often > 0


def test_a_new_error_says_more_than_a_new_message(make_windows: Any) -> None:
    windows = make_windows([*USUAL, ["a", "x", "b", "c"], ["a", "x", "b", "c"]])
    last = pl.int_range(pl.len()) >= int(windows.offsets[-2])
    is_error = last & (pl.col("template_id") == "x")
    severity = pl.when(is_error).then(pl.lit("ERROR")).otherwise("severity").alias("severity")
    windows = replace(windows, events=windows.events.with_columns(severity))
    scores = Novelty().fit(windows.take(np.arange(len(USUAL)))).score(windows)
    assert scores[-1] > scores[-2] > 0


def test_order_counts_only_where_it_is_kept(make_windows: Any) -> None:
    judged = make_windows([["c", "b", "a"]])
    in_order = Novelty().fit(make_windows(USUAL))
    one_astray = Novelty().fit(make_windows([*USUAL, ["b", "a", "c"]]))
    assert in_order.score(judged)[0] > 0
    assert one_astray.score(judged)[0] == 0


def test_a_number_outside_its_range_is_found_alone(make_numbered: Any, tmp_path: Path) -> None:
    usual = np.random.default_rng(0).gamma(4, 12, size=(300, 3)).round().tolist()
    detector = Novelty().fit(make_numbered(usual))
    detector.save(tmp_path)
    for each in (detector, Novelty.load(tmp_path)):
        *normal, slow, slower = each.score(make_numbered([*usual, [40, 3000, 50], [40, 60, 50000]]))
        assert max(normal) == 0
        assert slower > slow > 10


def test_what_only_the_peers_do_is_found_alone(make_keyed: Any, tmp_path: Path) -> None:
    usual = [(f"host{n % 5}", ["a", "sudo"] if n % 5 else ["a"]) for n in range(300)]
    judged = make_keyed([*usual, ("host9", ["a", "sudo"]), ("host0", ["a", "sudo"])])
    detector = Novelty().fit(make_keyed(usual))
    detector.save(tmp_path)
    for each in (detector, Novelty.load(tmp_path)):
        *normal, odd = each.score(judged)
        assert max(normal) == 0
        assert odd > 10


def test_keys_that_do_not_come_back_change_nothing(make_keyed: Any) -> None:
    sequences = [*USUAL, ["a", "x"], ["a", *["b"] * 9]]
    once, never = (
        make_keyed([(key(n), each) for n, each in enumerate(sequences)])
        for key in ("blk_{}".format, lambda _: None)
    )
    usual = np.arange(len(USUAL))
    scores = [Novelty(2).fit(each.take(usual)).score(each) for each in (once, never)]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("anomalous", [0, 2])
def test_a_rare_window_is_near_itself_unless_it_may_be_an_anomaly(
    anomalous: int, make_windows: Any
) -> None:
    windows = make_windows([*USUAL, ["a", "x"], ["a", "x"]])
    scores = Novelty(anomalous).fit(windows).score(windows)
    assert (scores[-1] > 0) == (anomalous > 0)
    assert (scores[: len(USUAL)] < scores[-1]).all() == (anomalous > 0)


def test_more_windows_than_are_compared_with_are_no_trouble(
    make_windows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.detectors.novelty.MOST_POINTS", 2)
    windows = make_windows([["a"]] * 5 + [["a", "b"]] * 3 + [["a", "c"]])
    scores = Novelty().fit(windows).score(windows)
    assert scores[:8].tolist() == [0] * 8
    assert scores[8] > 0
