"""What each entity never does though its peers do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.entities import LEAST_WINDOWS, Entities
from ml.windows import Windows

HOSTS = [f"host{number}" for number in range(10)]
Session = tuple[str | None, list[str]]
Habit = Callable[[str, np.random.Generator, int], list[str]]


def usual(host: str, rng: np.random.Generator, _: int) -> list[str]:
    """Half of the windows hold a sudo, but none of host4; host0 logs in far more often."""
    logins = int(rng.poisson(40 if host == "host0" else 3))
    sudo = ["sudo"] * int(rng.random() < 0.5 and host != "host4")
    return ["start", *["login"] * logins, *sudo]


def sessions(habit: Habit = usual, rounds: int = 60, seed: int = 0) -> list[Session]:
    rng = np.random.default_rng(seed)
    return [(host, habit(host, rng, n)) for n in range(rounds) for host in HOSTS]


@pytest.fixture
def learnt(make_keyed: Any) -> Entities:
    return Entities.fit(make_keyed(sessions()))


def odd(entities: Entities, windows: Windows) -> list[tuple[Any, ...]]:
    return entities.odd(windows).select("window", "entity", "template_id", "seen").rows()


@pytest.mark.parametrize(
    ("host", "templates", "is_odd"),
    [
        pytest.param("host4", ["start", "sudo"], True, id="what the host never did"),
        pytest.param("host3", ["start", "sudo"], False, id="what the host often does"),
        pytest.param("host2", ["login"] * 40, True, id="as often as only another does"),
        pytest.param("host0", ["login"] * 40, False, id="as often as it always does"),
        pytest.param("host2", ["login"] * 14, False, id="a little more often than ever"),
        pytest.param("host4", ["reboot"], False, id="what nobody ever did is for others to find"),
        pytest.param("host4", ["start"], False, id="what the host leaves out"),
        pytest.param("host77", ["sudo"], False, id="a host without history"),
        pytest.param(None, ["sudo"], False, id="no key"),
    ],
)
def test_a_window_is_odd_for_its_entity(
    host: str | None, templates: list[str], is_odd: bool, learnt: Entities, make_keyed: Any
) -> None:
    windows = make_keyed([(host, ["start"]), (host, templates)])
    assert bool(odd(learnt, windows)) == is_odd
    first, second = learnt.excess_of_windows(windows)
    assert first == 0
    assert (second > 3) == is_odd


def test_a_longer_history_makes_the_same_deed_odder(make_keyed: Any) -> None:
    judged = make_keyed([("host4", ["sudo"])])
    excesses = [
        Entities.fit(make_keyed(sessions(rounds=rounds))).excess_of_windows(judged)[0]
        for rounds in (20, 60, 200)
    ]
    assert 0 < excesses[0] < excesses[1] < excesses[2]


@pytest.mark.parametrize("seed", range(3))
def test_later_windows_of_the_same_habits_are_not_odd(
    seed: int, learnt: Entities, make_keyed: Any
) -> None:
    assert odd(learnt, make_keyed(sessions(rounds=600, seed=seed + 1))) == []


def now_and_then(host: str, rng: np.random.Generator, _: int) -> list[str]:
    """Each host does some things often, others once in a hundred windows or never."""
    rates = np.random.default_rng(HOSTS.index(host)).beta(0.05, 0.1, size=20)
    return ["start", *[f"t{n}" for n in np.flatnonzero(rng.random(20) < rates)]]


@pytest.mark.parametrize("seed", range(6))
def test_where_habits_are_loose_nothing_is_odd(seed: int, make_keyed: Any) -> None:
    entities = Entities.fit(make_keyed(sessions(now_and_then, rounds=100, seed=seed)))
    later = make_keyed(sessions(now_and_then, rounds=1000, seed=seed + 10))
    assert len(odd(entities, later)) <= 1


def spreading(host: str, rng: np.random.Generator, n: int) -> list[str]:
    """From the middle on host3 does what it never did: it has got a new role."""
    role = ["backup"] * int(host != "host3" or n > 40)
    return [*usual(host, rng, n), *role]


def test_what_changed_hands_in_training_is_not_judged(make_keyed: Any) -> None:
    entities = Entities.fit(make_keyed(sessions(spreading)))
    assert odd(entities, make_keyed([("host4", ["sudo"]), ("host3", ["backup"])])) == [
        (0, "host4", "sudo", 0)
    ]


def test_what_may_be_an_anomaly_is_no_habit(make_keyed: Any) -> None:
    learnt = sessions()
    learnt[304] = ("host4", ["start", "sudo"])
    judged = make_keyed([("host4", ["sudo"])])
    assert odd(Entities.fit(make_keyed(learnt)), judged) == []
    assert odd(Entities.fit(make_keyed(learnt), anomalous=12), judged) == [(0, "host4", "sudo", 1)]


@pytest.mark.parametrize(
    "learnt",
    [
        pytest.param([(None, ["a"]), (None, ["b"])] * 50, id="no keys"),
        pytest.param([(f"blk{n}", ["a"]) for n in range(100)], id="keys that do not come back"),
        pytest.param([("one", ["a"])] * 100, id="an entity without peers"),
        pytest.param(
            [("one", ["a"]), ("other", ["b"])] * (LEAST_WINDOWS - 1), id="too few windows of each"
        ),
        pytest.param([], id="no windows"),
    ],
)
def test_without_entities_nothing_is_odd(learnt: list[Session], make_keyed: Any) -> None:
    entities = Entities.fit(make_keyed(learnt))
    judged = make_keyed([("one", ["b"]), ("blk1", ["b"]), (None, ["b"])])
    assert entities.excess_of_windows(judged).tolist() == [0, 0, 0]


def test_windows_may_lack_the_column_of_keys(learnt: Entities, make_keyed: Any) -> None:
    windows = make_keyed(sessions())
    keyless = Windows(windows.spans.drop("session_key"), windows.events, windows.offsets)
    assert not learnt.excess_of_windows(keyless).any()
    assert not Entities.fit(keyless).excess_of_windows(windows).any()


def test_a_loaded_one_is_the_saved_one(learnt: Entities, make_keyed: Any, tmp_path: Path) -> None:
    judged = make_keyed([("host4", ["sudo"]), ("host2", ["login"] * 40)])
    learnt.save(tmp_path)
    assert Entities.load(tmp_path).odd(judged).equals(learnt.odd(judged))
    assert len(learnt.odd(judged)) == 2
