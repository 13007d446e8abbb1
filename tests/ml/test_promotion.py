"""The gate: what a challenger must show to become the champion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.checks import sessions
from ml.promotion import Contender, judge
from ml.splits import split_in_order
from ml.tuning import Exam
from ml.windows import Windows

RNG = np.random.default_rng(0)
USUAL = [["a", *["b"] * int(n), "c"] for n in RNG.integers(1, 4, 600)]
WINDOWS = sessions(USUAL)
EVERY_TENTH = np.arange(300) % 10 == 0


def exam_of(windows: Windows, anomalous: np.ndarray) -> Exam:
    split = split_in_order(windows, 0.5)
    return Exam.of(split, np.zeros(300, dtype=bool), anomalous, seed=0)


@pytest.fixture(scope="module")
def labelled() -> Exam:
    return exam_of(WINDOWS, EVERY_TENTH)


@pytest.fixture(scope="module")
def unlabelled() -> Exam:
    return exam_of(WINDOWS, np.zeros(300, dtype=bool))


def contender(exam: Exam, found: float, name: str = "challenger", **changes: object) -> Contender:
    """One that finds a share of the anomalies, and nothing else."""
    rows = np.flatnonzero(exam.trial.is_anomalous)
    scores = np.random.default_rng(1).uniform(0, 1, len(exam.trial.test))
    scores[rows[: round(found * len(rows))]] += 2
    made = Contender(name, scores, 1.5, 10_000.0, 1.0, {})
    return replace(made, **changes)  # type: ignore[arg-type]


def rules(exam: Exam, found: float = 0.0) -> dict[str, np.ndarray]:
    return {"length": contender(exam, found).scores}


def test_one_that_finds_more_is_better(labelled: Exam) -> None:
    champion = contender(labelled, 0.3, "champion")
    verdict = judge(labelled, contender(labelled, 0.9), champion, rules(labelled), None, 0)
    assert verdict.passed
    assert verdict.figure == "average precision"
    assert verdict.champion is not None
    assert verdict.champion < verdict.challenger
    assert verdict.low is not None
    assert 0 < verdict.low < verdict.challenger - verdict.champion
    assert "challenger is better than champion" in verdict.reason


def test_one_that_finds_as_much_is_refused_with_the_reason(labelled: Exam) -> None:
    champion = contender(labelled, 0.5, "champion")
    verdict = judge(labelled, contender(labelled, 0.5), champion, rules(labelled), None, 0)
    assert not verdict.passed
    assert "is refused: average precision" in verdict.reason


def test_what_chance_may_have_done_is_no_proof(labelled: Exam) -> None:
    champion = contender(labelled, 0.5, "champion")
    verdict = judge(labelled, contender(labelled, 0.54), champion, rules(labelled), None, 0)
    assert verdict.champion is not None
    assert verdict.challenger > verdict.champion
    assert not verdict.passed


def test_the_first_champion_has_nobody_to_beat_but_the_rules(labelled: Exam) -> None:
    assert judge(labelled, contender(labelled, 0.5), None, rules(labelled, 0.4), None, 0).passed
    verdict = judge(labelled, contender(labelled, 0.5), None, rules(labelled, 0.6), None, 0)
    assert not verdict.passed
    assert "plain rules" in verdict.reason


def test_rules_that_find_all_are_no_reason_against_one_that_does_too(labelled: Exam) -> None:
    assert judge(labelled, contender(labelled, 1.0), None, rules(labelled, 1.0), None, 0).passed


def test_false_alarms_must_stay_within_the_budget(labelled: Exam) -> None:
    noisy = contender(labelled, 0.9, threshold=0.5)
    assert not judge(labelled, noisy, None, rules(labelled), 5.0, 0).passed
    assert judge(labelled, noisy, None, rules(labelled), 1_000.0, 0).passed
    as_noisy = contender(labelled, 0.3, "champion", threshold=0.5)
    assert judge(labelled, noisy, as_noisy, rules(labelled), 5.0, 0).passed


def test_labelled_anomalies_that_are_flagged_are_no_false_alarms(labelled: Exam) -> None:
    assert judge(labelled, contender(labelled, 1.0), None, rules(labelled), 0.1, 0).passed


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        pytest.param({"events_per_second": 10.0}, "events scored a second", id="too slow"),
        pytest.param({"megabytes": 5_000.0}, "megabytes", id="too large"),
        pytest.param({"golden": {"disk": True, "rack": False}}, "not rack", id="a golden one"),
    ],
)
def test_what_it_costs_and_what_people_have_confirmed_count_too(
    labelled: Exam, changes: dict[str, object], check: str
) -> None:
    verdict = judge(labelled, contender(labelled, 0.9, **changes), None, rules(labelled), None, 0)
    assert not verdict.passed
    assert check in verdict.reason


def test_one_as_slow_as_the_champion_is_not_refused_for_it(labelled: Exam) -> None:
    slow = {"events_per_second": 10.0, "megabytes": 5_000.0}
    champion = contender(labelled, 0.3, "champion", **slow)
    challenger = contender(labelled, 0.9, **slow)
    assert judge(labelled, challenger, champion, rules(labelled), None, 0).passed


def test_without_labels_planted_faults_are_looked_for(unlabelled: Exam) -> None:
    champion = contender(unlabelled, 0.3, "champion")
    verdict = judge(unlabelled, contender(unlabelled, 0.9), champion, rules(unlabelled), None, 0)
    assert verdict.figure == "recall at the budget"
    assert verdict.challenger == pytest.approx(0.9, abs=0.02)


def test_no_kind_of_fault_may_be_lost(unlabelled: Exam) -> None:
    kinds = unlabelled.trial.kinds
    assert kinds is not None
    champion = contender(unlabelled, 0.3, "champion")
    champion.scores[kinds == "burst"] = 3.0
    challenger = contender(unlabelled, 1.0)
    challenger.scores[kinds == "burst"] = 0.0
    verdict = judge(unlabelled, challenger, champion, rules(unlabelled), None, 0)
    assert verdict.challenger > (verdict.champion or 1)
    assert not verdict.passed
    assert "faults of one kind (burst)" in verdict.reason


def test_the_table_has_a_line_for_each_check(labelled: Exam) -> None:
    verdict = judge(labelled, contender(labelled, 0.9), None, rules(labelled), None, 0)
    table = verdict.table().splitlines()
    assert len(table) == len(verdict.checks) + 2
    assert all(line.count("|") == table[0].count("|") for line in table)
