"""Past anomalies that a new one is like."""

from __future__ import annotations

import numpy as np
import pytest

from ml.memory import nearest

PAST = ["abc", "abbbbc", "cba", "xyz", "abcx", "ab"]


def places(new: str, past: list[str], count: int = 9) -> list[int]:
    (found,) = nearest([list(new)], [list(each) for each in past], count)
    return [like.place for like in found]


@pytest.mark.parametrize(
    ("new", "past", "expected"),
    [
        pytest.param("abc", ["xyz", "abc", "abd"], [1, 2], id="those with nothing in common not"),
        pytest.param("abcx", ["abc", "abc", "abc", "x"], [3, 2, 1, 0], id="what is rare says more"),
        pytest.param("abb", ["a", "abbb", "abbbbbbb"], [1, 2, 0], id="how often"),
        pytest.param("abc", ["abc", "cab", "cba"], [0, 1, 2], id="of equals, those in its order"),
        pytest.param("ab", ["ab", "cd", "ab", "ab"], [3, 2, 0], id="of equals, the later"),
        pytest.param("new", ["ab", "cd"], [], id="nothing like it"),
        pytest.param("ab", ["", "ab"], [1], id="an anomaly without events"),
        pytest.param("", ["ab", ""], [], id="a new one without events"),
        pytest.param("ab", [], [], id="no past"),
    ],
)
def test_the_most_alike_come_first(new: str, past: list[str], expected: list[int]) -> None:
    assert places(new, past) == expected


def test_no_more_than_asked_for() -> None:
    assert places("abc", PAST, count=2) == places("abc", PAST)[:2]


def test_the_same_events_are_alike_by_one_whatever_their_order() -> None:
    (found,) = nearest(["cab"], PAST, count=2)
    assert found[0].similarity == found[1].similarity == 1
    assert {like.place for like in found} == {0, 2}


def test_similarities_lie_between_none_and_one_and_fall() -> None:
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("abcdefgh"), rng.integers(1, 9))) for _ in range(300)]
    for found in nearest(sequences[:50], sequences[50:], count=20):
        similarities = [like.similarity for like in found]
        assert similarities == sorted(similarities, reverse=True)
        assert all(0 < each <= 1 for each in similarities)


def test_several_at_once_are_as_one_by_one() -> None:
    new = ["abc", "xx", "", "cab"]
    assert nearest(new, PAST, count=3) == [nearest([each], PAST, count=3)[0] for each in new]


def test_the_measure_by_hand() -> None:
    # x is in one of three past anomalies, a in all: log(4 / 2), and the least weight, 0.1.
    rare, common = np.log(2) * np.log(2), np.log(2) * 0.1
    (found,) = nearest(["xa"], ["xa", "a", "aq"], count=3)
    assert [like.place for like in found] == [0, 1, 2]
    shares = [1, common / (common + rare), common / (common + 2 * rare)]
    assert [like.similarity for like in found] == pytest.approx(shares)
