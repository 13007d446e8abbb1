"""What normal looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.profile import BLOCK_ROWS, NormalProfile, neighbours

USUAL = [["a", "b"], ["a", "b"], ["a", "c", "c"]]


def test_a_profile_holds_each_vector_once(make_windows: Any) -> None:
    profile = NormalProfile.fit(make_windows(USUAL))
    vectors = dict(zip(map(tuple, profile.vectors.tolist()), profile.multiplicity, strict=True))
    assert profile.vocabulary == ["a", "b", "c"]
    assert vectors == {(1, 1, 0, 0): 2, (1, 0, 2, 0): 1}
    assert profile.windows_with_template.tolist() == [3, 2, 1]
    assert profile.size == 3


def test_pairs_are_counted_once_a_window(make_windows: Any) -> None:
    profile = NormalProfile.fit(make_windows([["a", "b", "a", "b"], ["a", "b"]]))
    assert profile.pairs.select("first", "second", "windows").rows() == [
        ("a", "b", 2),
        ("b", "a", 1),
    ]


def test_the_last_event_of_a_window_has_no_neighbour_in_the_next(make_windows: Any) -> None:
    pairs = neighbours(make_windows([["a", "b"], ["c"], ["d", "e"]]))
    assert sorted(pairs.rows()) == [(0, "a", "b"), (2, "d", "e")]


def test_rare_templates_weigh_more_and_unseen_ones_most(make_windows: Any) -> None:
    common, half, rare, unseen = NormalProfile.fit(make_windows(USUAL)).weights
    assert 0 < common < half < rare < unseen


@pytest.mark.parametrize(
    ("sequence", "nearest", "is_at_zero"),
    [
        pytest.param(["b", "a"], (1, 1, 0, 0), True, id="the same counts"),
        pytest.param(["a", "b", "b"], (1, 1, 0, 0), False, id="one more of a template"),
        pytest.param(["a", "c"], (1, 0, 2, 0), False, id="one less of a template"),
        pytest.param(["a", "b", "x"], (1, 1, 0, 0), False, id="an unseen template"),
    ],
)
def test_the_nearest_normal_vector(
    sequence: list[str], nearest: tuple[int, ...], is_at_zero: bool, make_windows: Any
) -> None:
    profile = NormalProfile.fit(make_windows(USUAL))
    vectors = make_windows([sequence]).count_vectors(profile.vocabulary).toarray()
    (distance,), (row,) = profile.nearest(vectors)
    assert tuple(profile.vectors[row]) == nearest
    expected = np.abs(np.log1p(vectors[0]) - np.log1p(nearest)) @ profile.weights
    assert distance == pytest.approx(expected)
    assert (distance == 0) == is_at_zero


def test_the_nearest_is_found_across_blocks(make_windows: Any) -> None:
    profile = NormalProfile.fit(make_windows([["a"]]))
    counts = np.arange(BLOCK_ROWS + 50)
    vectors = np.stack([counts, np.zeros_like(counts)], axis=1)
    wide = NormalProfile(
        profile.vocabulary,
        profile.windows_with_template,
        vectors,
        np.ones_like(counts),
        profile.pairs,
        profile.ranges,
        profile.entities,
    )
    distances, rows = wide.nearest(np.roll(vectors, 25, axis=0))
    assert rows.tolist() == np.roll(counts, 25).tolist()
    assert not distances.any()


@pytest.mark.parametrize(
    ("sequence", "unseen"),
    [
        pytest.param(["a", "b"], [], id="a known order"),
        pytest.param(["b", "a"], [("b", "a")], id="the reverse of a known order"),
        pytest.param(["b", "a", "b", "a"], [("b", "a")], id="one pair counts once"),
        pytest.param(["b"], [], id="a single event has no order"),
    ],
)
def test_unseen_pairs(
    sequence: list[str], unseen: list[tuple[str, str]], make_windows: Any
) -> None:
    pairs = NormalProfile.fit(make_windows(USUAL)).unseen_pairs(make_windows([sequence]))
    assert pairs.select("first", "second").rows() == unseen


def test_a_loaded_profile_is_the_saved_one(make_windows: Any, tmp_path: Path) -> None:
    profile = NormalProfile.fit(make_windows(USUAL))
    profile.save(tmp_path)
    loaded = NormalProfile.load(tmp_path)
    assert loaded.vocabulary == profile.vocabulary
    assert loaded.pairs.equals(profile.pairs)
    for name in ("windows_with_template", "vectors", "multiplicity"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(profile, name))


def test_normal_cannot_be_learnt_from_nothing(make_windows: Any) -> None:
    with pytest.raises(ValueError, match="at least one window"):
        NormalProfile.fit(make_windows([]))
