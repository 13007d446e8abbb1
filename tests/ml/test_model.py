"""Models: thresholds, reasons and severities that belong together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml.labels import anomalous_windows
from ml.model import LEAST_WINDOWS, Model, judge_without_model, severity_of
from ml.promotion import Candidate, choose
from ml.splits import TooFewWindows, split_at, split_by_share
from ml.tails import Tail
from ml.thresholds import quantile_threshold

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        pytest.param(["a", "x", "b", "c"], "never seen before: “X”", id="a new template"),
        pytest.param(["a", "x", "x", "d"], "never seen before: “X” ×2", id="a new one twice"),
        pytest.param(["b", "c"], "missing: “A”", id="a missing step"),
        pytest.param(
            ["a", *["b"] * 30, "c"], "30 instead of 2 times: “B”", id="far too many of one"
        ),
        pytest.param(
            ["c", "b", "a"],
            "out of order: “B” directly followed by “A”; out of order: “C” directly",
            id="the wrong order",
        ),
    ],
)
def test_a_planted_cause_is_flagged_and_named_first(
    sequence: list[str], reason: str, make_windows: Any
) -> None:
    judgement = Model.train("novelty", make_windows(USUAL)).judge(make_windows([sequence]))
    (anomaly,) = judgement.anomalies
    assert anomaly.explanation.reason(str.upper).startswith(reason)
    assert sum(finding.share for finding in anomaly.explanation.findings) == pytest.approx(1)


def test_the_lines_lead_to_what_was_found(make_windows: Any) -> None:
    judgement = Model.train("novelty", make_windows(USUAL)).judge(make_windows([["a", "x", "c"]]))
    (anomaly,) = judgement.anomalies
    assert (anomaly.explanation.lines[0].object_key, anomaly.explanation.lines[0].line_number) == (
        "a.log",
        2,
    )


def test_normal_windows_are_not_flagged(make_windows: Any) -> None:
    assert Model.train("novelty", make_windows(USUAL)).judge(make_windows(USUAL)).anomalies == []


def test_too_few_windows_are_refused_with_the_number_needed(make_windows: Any) -> None:
    with pytest.raises(TooFewWindows, match=f"at least {LEAST_WINDOWS}"):
        Model.train("novelty", make_windows(USUAL[:10]))


def test_a_loaded_model_judges_alike(make_windows: Any, tmp_path: Path) -> None:
    model = Model.train("isolation_forest", make_windows(USUAL))
    model.save(tmp_path / "model")
    windows = make_windows([*USUAL, ["x", "y", "z"]])
    one, other = model.judge(windows), Model.load(tmp_path / "model").judge(windows)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert one.anomalies == other.anomalies


@pytest.mark.parametrize(
    "history", [pytest.param([], id="the first night"), pytest.param(USUAL, id="a later night")]
)
def test_without_a_model_the_oddest_window_is_flagged(
    history: list[list[str]], make_windows: Any
) -> None:
    night = make_windows([*USUAL, ["a", "x", "y", "c"]])
    judgement = judge_without_model(make_windows(history), night)
    assert judgement.anomalies[0].row == len(night) - 1


@pytest.mark.parametrize(
    ("score", "severity"), [(1.9, "low"), (2.0, "medium"), (3.5, "high"), (5.0, "critical")]
)
def test_severity_counts_from_the_typical_to_the_largest_normal_score(
    score: float, severity: str
) -> None:
    assert severity_of(score, typical=0.0, largest=2.0) == severity


def test_a_window_that_straddles_the_cut_is_in_neither_part(make_windows: Any) -> None:
    windows = make_windows([["a", "b", "c"]] * 4)
    cut = windows.spans["starts_at"][2] + timedelta(seconds=1)
    split = split_at(windows, cut)
    assert (len(split.train), len(split.test), split.embargoed) == (2, 1, 1)


def test_a_split_needs_windows_on_both_sides(make_windows: Any) -> None:
    with pytest.raises(TooFewWindows):
        split_by_share(make_windows([["a"]]), 0.8)


@pytest.mark.parametrize(
    ("share", "threshold"),
    [
        pytest.param(0.0, 9.0, id="none may be flagged: the largest"),
        pytest.param(0.1, 8.0, id="one of ten may be flagged"),
        pytest.param(0.05, 9.0, id="less than one window is none"),
    ],
)
def test_thresholds(share: float, threshold: float) -> None:
    assert quantile_threshold(np.arange(10.0), share) == threshold


def test_a_tail_is_conformal_inside_and_falls_outside() -> None:
    tail = Tail(np.array([0.0, 0.0, 1.0]))
    log_p = tail.log10_probability(np.array([0.0, 0.5, 1.0, 2.0, 9.0]))
    np.testing.assert_allclose(10 ** log_p[:3], [1.0, 0.5, 0.5])
    assert log_p[2] > log_p[3] > log_p[4]


@pytest.mark.parametrize(
    ("key", "seconds", "expected"),
    [
        pytest.param("s00001", None, [False, True, False], id="by session key"),
        pytest.param(None, (60, 61), [False, True, False], id="by an interval"),
        pytest.param(None, (58, 60), [False, False, False], id="an interval's end is not in it"),
        pytest.param("s00000", (60, 61), [False, False, False], id="key and interval must agree"),
    ],
)
def test_labels(
    key: str | None, seconds: tuple[int, int] | None, expected: list[bool], make_windows: Any
) -> None:
    windows = make_windows([["a", "b"]] * 3)
    zero = windows.spans["starts_at"][0]
    starts, ends = (zero + timedelta(seconds=s) for s in seconds) if seconds else (None, None)
    time = pl.Datetime("us", "UTC")
    labels = pl.DataFrame(
        [(key, starts, ends, True)],
        schema={"session_key": pl.String, "starts_at": time, "ends_at": time}
        | {"is_anomalous": pl.Boolean},
        orient="row",
    )
    assert anomalous_windows(windows, labels).tolist() == expected


@pytest.mark.parametrize(
    ("figures", "chosen"),
    [
        pytest.param([None, None], 0, id="without labels the first asked for"),
        pytest.param([0.4, 0.6], 1, id="the highest average precision"),
        pytest.param([0.6, 0.6], 0, id="the earlier of equals"),
        pytest.param([None, 0.1], 1, id="a measured one before an unmeasured one"),
    ],
)
def test_the_best_candidate_is_chosen(figures: list[float | None], chosen: int) -> None:
    candidates = [Candidate(f"family{n}", figure) for n, figure in enumerate(figures)]
    verdict = choose(candidates)
    assert verdict.chosen == candidates[chosen]
    assert verdict.chosen.family in verdict.reason
