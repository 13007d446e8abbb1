"""Why a window is odd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.detectors.novelty import Novelty
from ml.explanation import (
    LINES_OF_EXPLANATION,
    Explanation,
    Finding,
    Line,
    OddHabit,
    OddNumber,
    explain,
)
from ml.families import FAMILIES, create
from ml.profile import NormalProfile
from ml.ranges import PAUSE
from ml.windows import Windows
from tests.ml.conftest import START

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 20


def explanations(usual: Windows, odd: Windows) -> list[Explanation]:
    return explain(NormalProfile.fit(usual), odd, Novelty().fit(usual).score)


def explained(sequence: list[str], make_windows: Any) -> Explanation:
    (explanation,) = explanations(make_windows(USUAL), make_windows([sequence]))
    return explanation


@pytest.mark.parametrize(
    ("sequence", "first"),
    [
        pytest.param(["a", "x", "b", "c"], ("new", "x", 0, 1), id="a new template"),
        pytest.param(["a", "x", "x", "b", "c"], ("new", "x", 0, 2), id="a new template twice"),
        pytest.param(["a", "x", *["d"] * 90], ("new", "x", 0, 1), id="new beside many"),
        pytest.param(["b", "c"], ("missing", "a", 1, 0), id="a step that is missing"),
        pytest.param(["a", *["b"] * 30, "c"], ("more", "b", 2, 30), id="far more of a template"),
        pytest.param(["a", *["b"] * 3, *["c"] * 9], ("more", "c", 1, 9), id="the more telling"),
    ],
)
def test_a_planted_cause_is_named_first(
    sequence: list[str], first: tuple[str, str, int, int], make_windows: Any
) -> None:
    finding = explained(sequence, make_windows).findings[0]
    assert (finding.kind, finding.template_id, finding.expected, finding.found) == first


def test_new_templates_share_by_how_often_they_occur(make_windows: Any) -> None:
    findings = explained(["a", "x", "y", "y", "d"], make_windows).findings
    shares = {finding.template_id: finding.share for finding in findings}
    assert shares == pytest.approx({"y": 2 / 3, "x": 1 / 3})


def test_fewer_than_normal(make_windows: Any) -> None:
    (explanation,) = explanations(make_windows([["a"] * 9] * 5), make_windows([["a"] * 3]))
    assert explanation.findings == [Finding("fewer", "a", 9, 3, 1.0)]


def test_an_unknown_order_is_told_when_the_counts_are_normal(make_windows: Any) -> None:
    findings = explained(["c", "b", "a"], make_windows).findings
    assert [(f.kind, f.template_id, f.followed_by, f.share) for f in findings] == [
        ("order", "b", "a", 0.5),
        ("order", "c", "b", 0.5),
    ]


def test_each_window_has_the_explanation_of_its_own(make_windows: Any) -> None:
    odd = [["a", "x", "b", "c"], ["a", "b", "c"], ["c", "b", "a"], ["a", "x", "b", "c"], ["y"]]
    found = explanations(make_windows(USUAL), make_windows(odd))
    firsts = [each.findings[0].template_id if each.findings else None for each in found]
    assert firsts == ["x", None, "b", "x", "y"]
    assert [line.line_number for line in found[3].lines] == [3002]


def test_what_else_is_explained_changes_no_explanation(make_windows: Any) -> None:
    usual = make_windows(USUAL)
    odd = make_windows([["a", "x", "d"], ["b", "c"], ["a", "x", "d"], ["c", "b", "a"], ["y"] * 9])
    parts = [odd.take(np.array(rows)) for rows in ([0, 1], [2], [3, 4])]
    apart = [each for part in parts for each in explanations(usual, part)]
    assert explanations(usual, odd) == apart


def test_windows_of_one_sequence_are_told_apart_by_their_levels(make_windows: Any) -> None:
    usual = make_windows(USUAL)
    odd = make_windows([["a", "x", "d", "d"]] * 2)
    levels = pl.Series(["INFO"] * 5 + ["ERROR"] + ["INFO"] * 2)
    odd = replace(odd, events=odd.events.with_columns(severity=levels))
    mild, grave = (each.findings[0] for each in explanations(usual, odd))
    assert mild.template_id == grave.template_id == "x"
    assert grave.share > mild.share


def test_normal_windows_of_one_event_explain_too(make_windows: Any) -> None:
    (explanation,) = explanations(make_windows([["a"]] * 9), make_windows([["b", "b"]]))
    assert [finding.kind for finding in explanation.findings] == ["new", "missing"]
    assert explanation.findings[0].share > 0.9


def test_a_share_is_by_how_much_less_odd_the_window_is_without_it(make_windows: Any) -> None:
    usual, odd = make_windows([["a", "b", "c"]] * 9), make_windows([["a", "b", "b", "c", "c", "x"]])

    def score(windows: Windows) -> np.ndarray:
        counts = windows.count_vectors(["b", "c", "x"]).toarray()
        odd: np.ndarray = counts[:, :3] @ np.array([3.0, 1.0, 0.0])
        return odd

    (explanation,) = explain(NormalProfile.fit(usual), odd, score)
    shares = {finding.template_id: finding.share for finding in explanation.findings}
    assert shares == pytest.approx({"b": 0.75, "c": 0.25, "x": 0})
    assert [finding.template_id for finding in explanation.named] == ["b", "c"]
    assert explanation.signature == "more:b|more:c"


def test_where_nothing_lowers_the_score_the_profile_says_what_is_odd(make_windows: Any) -> None:
    usual, odd = make_windows(USUAL), make_windows([["a", "x", "b", *["c"] * 5]])
    (explanation,) = explain(NormalProfile.fit(usual), odd, lambda each: np.ones(len(each)))
    assert [finding.kind for finding in explanation.findings] == ["new", "more"]
    new, more = (finding.share for finding in explanation.findings)
    assert new > more > 0
    assert new + more == pytest.approx(1)


@pytest.mark.parametrize(
    "sequence",
    [
        pytest.param(["x", "y", "y"], id="only new templates"),
        pytest.param(["a", "x", "d", "d", "c"], id="new, missing and more"),
        pytest.param(["c", "b", "a"], id="order alone"),
    ],
)
def test_the_shares_of_the_findings_sum_to_one(sequence: list[str], make_windows: Any) -> None:
    findings = explained(sequence, make_windows).findings
    assert sum(finding.share for finding in findings) == pytest.approx(1)


@pytest.mark.parametrize(
    ("sequence", "numbers"),
    [
        pytest.param(["a", "x", "b", "c"], [2], id="the line of a new template"),
        pytest.param(["a", "b", *["x"] * 4, "c"], [5, 6], id="the last two of many"),
        pytest.param(["b", "c"], [1, 2], id="the end of the window where something is missing"),
        pytest.param(
            ["a", "u", "v", "w", "x", "y", "z", "d"], [2, 3, 4, 5, 6], id="no more than a few"
        ),
    ],
)
def test_the_lines_lead_to_what_was_found(
    sequence: list[str], numbers: list[int], make_windows: Any
) -> None:
    lines = explained(sequence, make_windows).lines
    assert {line.object_key for line in lines} == {"a.log"}
    assert sorted(line.line_number for line in lines) == numbers
    assert len(lines) <= LINES_OF_EXPLANATION


def test_an_unusual_number_is_named_with_its_line(make_numbered: Any) -> None:
    usual = [[3 + (7 * number) % 78, 40] for number in range(300)]
    (explanation,) = explanations(make_numbered(usual), make_numbered([[40, 9312]]))
    (finding,) = explanation.findings
    assert (finding.kind, finding.template_id, finding.found, finding.share) == ("value", "w", 1, 1)
    assert explanation.lines == [Line("a.log", 2)]
    told = explanation.reason(lambda _: "wrote <*> in <*> ms")
    assert told == "unusual value: 9,312 ms where 3 to 80 is normal: “wrote <*> in <*> ms”"


def test_what_only_the_peers_do_is_named_with_its_lines(make_keyed: Any) -> None:
    usual = [(f"host{n % 5}", ["a", "sudo"] if n % 5 else ["a"]) for n in range(305)]
    judged = make_keyed([("host1", ["a", "sudo"]), ("host0", ["a", "sudo"])])
    peer, odd = explanations(make_keyed(usual), judged)
    assert peer.findings == []
    assert odd.findings == [
        Finding("habit", "sudo", 0, 1, 1.0, habit=OddHabit("host0", 61, seen=0, at_least=1))
    ]
    assert odd.lines == [Line("a.log", 1002)]
    assert odd.reason(lambda _: "sudo <*>") == (
        "“sudo <*>” was never seen from host0 in 61 windows, though others have it"
    )


def new(template: str, found: int = 1) -> Finding:
    return Finding("new", template, 0, found, 1.0)


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        pytest.param([new("x")], "never seen before: “X”", id="new"),
        pytest.param([new("x", 3)], "never seen before: “X” ×3", id="new, several times"),
        pytest.param([Finding("missing", "a", 1, 0, 1.0)], "missing: “A”", id="missing"),
        pytest.param([Finding("missing", "a", 2, 0, 1.0)], "missing: “A” ×2", id="missing, twice"),
        pytest.param([Finding("more", "a", 2, 9, 1.0)], "9 instead of 2 times: “A”", id="more"),
        pytest.param([Finding("fewer", "a", 9, 2, 1.0)], "2 instead of 9 times: “A”", id="fewer"),
        pytest.param(
            [Finding("order", "b", 0, 1, 1.0, followed_by="a")],
            "out of order: “B” directly followed by “A”",
            id="order",
        ),
        pytest.param(
            [Finding("value", "took <*>", 0, 1, 1.0, value=OddNumber(0, 2.5, 0.0031, 0.08))],
            "unusual value: 2.5 where 0.0031 to 0.08 is normal: “TOOK <*>”",
            id="value",
        ),
        pytest.param(
            [Finding("late", "done", 0, 1, 1.0, value=OddNumber(PAUSE, 9000.0, 0.0, 41.5))],
            "late: “DONE” 2.5 hours after what came before it, where at most 41.5 s is normal",
            id="late",
        ),
        pytest.param(
            [Finding("habit", "a", 0, 2, 1.0, habit=OddHabit("bob", 1200, seen=3, at_least=1))],
            "“A” was seen from bob in 3 of 1,200 windows only, though others have it",
            id="habit, not quite never",
        ),
        pytest.param(
            [Finding("habit", "a", 0, 50, 1.0, habit=OddHabit("bob", 61, seen=0, at_least=16))],
            "“A” ×50: 16 or more were never seen from bob in 61 windows, though others have them",
            id="habit, too many",
        ),
        pytest.param(
            [new("x"), new("y"), new("z"), new("w")],
            "never seen before: “X”; never seen before: “Y”; never seen before: “Z”",
            id="the three most telling",
        ),
        pytest.param(
            [],
            "the same templates as normal windows, but rarely in these counts",
            id="nothing to point at",
        ),
        pytest.param(
            [new("x" * 80)], f"never seen before: “{'X' * 80}”", id="a text of full length"
        ),
        pytest.param(
            [new("x" * 81)], f"never seen before: “{'X' * 79}…”", id="a longer text is shortened"
        ),
        pytest.param([new("x\ny")], "never seen before: “X…”", id="the first line of a text"),
    ],
)
def test_reasons_in_words(findings: list[Finding], reason: str) -> None:
    told = Explanation(findings, []).reason(str.upper)
    assert told == reason


def test_nothing_to_explain(make_windows: Any) -> None:
    assert explanations(make_windows(USUAL), make_windows([])) == []


# What each family is known to see of one cause planted in a usual window; all else is a bonus.
STEPS = ["open", "read", "check", "write", "close"]
PLANTED = {
    "new": ["open", "read", "x", "check", "write", "close"],
    "missing": ["open", "check", "write", "close"],
    "more": ["open", "read", "check", *["write"] * 30, "close"],
    "order": ["open", "read", "write", "check", "close"],
    "value": STEPS,
    "late": STEPS,
}
NAMED = {
    "new": ("x", None),
    "missing": ("read", None),
    "more": ("write", None),
    "order": ("write", "check"),
    "value": ("write", None),
    "late": ("check", None),
}
COUNTS = {"new", "missing", "more", "value", "late"}
SEEN = {
    "novelty": {*PLANTED},
    "isolation_forest": {"more", "value", "late"},
    "one_class_svm": COUNTS,
    "lstm": {*PLANTED},
    "bert": COUNTS,
    "ensemble": {*PLANTED},
}
RARE = [
    ["open", "retry", "read", "check", "write", "close"],
    ["open", "read", "check", "write", "audit", "close"],
    ["open", "read", "check", *["write"] * 9, "close"],
]


def with_sizes(windows: Windows, odd: int | None = None) -> Windows:
    """Each `write` has a number; in the window of row `odd` one that is far too large."""
    sizes = [
        [9312.0 if row == odd else 3.0 + 7 * number % 41] if template == "write" else []
        for number, (row, template) in enumerate(
            zip(windows.rows_of_events, windows.events["template_id"], strict=True)
        )
    ]
    numbers = pl.Series(sizes, dtype=pl.List(pl.Float64))
    return replace(windows, events=windows.events.with_columns(numbers=numbers))


def with_waits(windows: Windows, odd: int | None = None) -> Windows:
    """Each event comes a second or two after the one before it; `check`, in the window of row
    `odd`, half an hour after."""
    is_check = (windows.events["template_id"] == "check").to_numpy()
    is_late = is_check & (windows.rows_of_events == (-1 if odd is None else odd))
    waits = [1800.0 if late else 1 + 7 * n % 11 / 10 for n, late in enumerate(is_late)]
    moments = START + pl.Series(1e6 * np.cumsum(waits)).cast(pl.Duration("us"))
    return replace(windows, events=windows.events.with_columns(event_time=moments))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_names_the_planted_cause_first(name: str, make_windows: Any) -> None:
    read_twice, written_twice = sorted([*STEPS, "read"], key=STEPS.index), [*STEPS[:4], *STEPS[3:]]
    usual = with_sizes(make_windows([STEPS, read_twice, written_twice] * 50 + RARE * 2))
    usual = with_waits(usual)
    odd = with_sizes(make_windows(list(PLANTED.values())), odd=list(PLANTED).index("value"))
    odd = with_waits(odd, odd=list(PLANTED).index("late"))
    detector = create(name).fit(usual)
    is_flagged = detector.score(odd) > np.quantile(detector.score(usual), 0.95)
    flagged = {kind for kind, is_odd in zip(PLANTED, is_flagged, strict=True) if is_odd}
    assert flagged >= SEEN[name]
    found = explain(NormalProfile.fit(usual), odd, detector.score)
    for kind, explanation in zip(PLANTED, found, strict=True):
        shares = [finding.share for finding in explanation.findings]
        assert sum(shares) == pytest.approx(1)
        assert min(shares) >= 0
        first = explanation.findings[0]
        if kind in flagged:
            assert (first.kind, first.template_id, first.followed_by) == (kind, *NAMED[kind])
