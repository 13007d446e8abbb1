"""Why a window is odd."""

from __future__ import annotations

from typing import Any

import pytest

from ml.explanation import (
    LINES_OF_EXPLANATION,
    Explanation,
    Finding,
    Line,
    OddHabit,
    OddNumber,
    explain,
)
from ml.profile import NormalProfile

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 20


def explained(sequence: list[str], make_windows: Any) -> Explanation:
    (explanation,) = explain(NormalProfile.fit(make_windows(USUAL)), make_windows([sequence]))
    return explanation


@pytest.mark.parametrize(
    ("sequence", "first"),
    [
        pytest.param(["a", "x", "b", "c"], ("new", "x", 0, 1), id="a new template"),
        pytest.param(["a", "x", "x", "b", "c"], ("new", "x", 0, 2), id="a new template twice"),
        pytest.param(
            ["a", "x", *["d"] * 90], ("new", "x", 0, 1), id="new comes first, though less odd"
        ),
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
    profile = NormalProfile.fit(make_windows([["a"] * 9] * 5))
    (explanation,) = explain(profile, make_windows([["a"] * 3]))
    assert explanation.findings == [Finding("fewer", "a", 9, 3, 1.0)]


def test_an_unknown_order_is_told_when_the_counts_are_normal(make_windows: Any) -> None:
    findings = explained(["c", "b", "a"], make_windows).findings
    assert [(f.kind, f.template_id, f.followed_by, f.share) for f in findings] == [
        ("order", "b", "a", 0.5),
        ("order", "c", "b", 0.5),
    ]


def test_each_window_has_the_explanation_of_its_own(make_windows: Any) -> None:
    profile = NormalProfile.fit(make_windows(USUAL))
    odd = [["a", "x", "b", "c"], ["a", "b", "c"], ["c", "b", "a"], ["a", "y", "d"]]
    firsts = [
        explanation.findings[0].template_id if explanation.findings else None
        for explanation in explain(profile, make_windows(odd))
    ]
    assert firsts == ["x", None, "b", "y"]


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
    profile = NormalProfile.fit(make_numbered(usual))
    (explanation,) = explain(profile, make_numbered([[40, 9312]]))
    (finding,) = explanation.findings
    assert (finding.kind, finding.template_id, finding.found, finding.share) == ("value", "w", 1, 1)
    assert explanation.lines == [Line("a.log", 2)]
    told = explanation.reason(lambda _: "wrote <*> in <*> ms")
    assert told == "unusual value: 9,312 ms where 3 to 80 is normal: “wrote <*> in <*> ms”"


def test_what_only_the_peers_do_is_named_with_its_lines(make_keyed: Any) -> None:
    usual = [(f"host{n % 5}", ["a", "sudo"] if n % 5 else ["a"]) for n in range(305)]
    profile = NormalProfile.fit(make_keyed(usual))
    judged = make_keyed([("host1", ["a", "sudo"]), ("host0", ["a", "sudo"])])
    peer, odd = explain(profile, judged)
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
    assert explain(NormalProfile.fit(make_windows(USUAL)), make_windows([])) == []
