"""Models: thresholds, reasons and severities that belong together."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.detectors import out_of_fold_scores
from ml.families import FAMILIES, family
from ml.model import LEAST_WINDOWS, Model, judge_without_model, severity_of
from ml.splits import TooFewWindows
from ml.thresholds import false_alarm_share

USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40

every_family = pytest.mark.parametrize("name", FAMILIES)


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


def test_normal_windows_are_not_flagged(make_windows: Any) -> None:
    assert Model.train("novelty", make_windows(USUAL)).judge(make_windows(USUAL)).anomalies == []


def test_the_oddest_anomaly_comes_first_with_its_row_and_score(make_windows: Any) -> None:
    model = Model.train("novelty", make_windows(USUAL))
    mild, wild = ["a", "b", "c", "c", "c"], ["a", "x", "y", "z", "d", *["c"] * 90]
    judgement = model.judge(make_windows([USUAL[0], mild, USUAL[1], wild]))
    assert [anomaly.row for anomaly in judgement.anomalies] == [3, 1]
    for anomaly in judgement.anomalies:
        assert anomaly.score == judgement.scores[anomaly.row] > judgement.threshold
    assert len(judgement.scores) == 4


@every_family
def test_few_of_the_normal_windows_lie_above_the_threshold_of_windows_not_fitted_on(
    name: str, make_windows: Any
) -> None:
    normal = make_windows([*USUAL, ["a", "q"], ["b", "a", "c"]])
    model = Model.train(name, normal)
    unseen = model.tail.surprise(out_of_fold_scores(family(name), normal))
    assert (unseen > model.threshold).sum() <= false_alarm_share(len(normal)) * len(normal)
    assert unseen.max() >= model.threshold


@every_family
def test_a_score_of_three_is_one_normal_window_in_a_thousand(name: str, make_windows: Any) -> None:
    normal = make_windows(USUAL)
    unseen = Model.train(name, normal).tail.surprise(out_of_fold_scores(family(name), normal))
    for surprise in (0.5, 1.0, 2.0):
        assert (unseen > surprise).sum() <= len(normal) * 10**-surprise


@pytest.mark.parametrize(
    ("contamination", "is_found"),
    [
        pytest.param(0.0, False, id="what was there is normal"),
        pytest.param(0.02, True, id="what was there seldom may be an anomaly"),
    ],
)
def test_training_windows_may_be_anomalous(
    contamination: float, is_found: bool, make_windows: Any
) -> None:
    windows = make_windows([*USUAL, ["a", "x", "y"], ["a", "x", "y"]])
    model = Model.train("novelty", windows, contamination)
    usual, odd = model.score(make_windows([USUAL[0], ["a", "x", "y"]]))
    assert (odd > usual) == is_found


def test_just_enough_windows_are_enough(make_windows: Any) -> None:
    Model.train("novelty", make_windows(USUAL[:LEAST_WINDOWS]))
    with pytest.raises(TooFewWindows, match=f"{LEAST_WINDOWS - 1} .* {LEAST_WINDOWS} are needed"):
        Model.train("novelty", make_windows(USUAL[: LEAST_WINDOWS - 1]))


@every_family
def test_a_loaded_model_judges_alike(name: str, make_windows: Any, tmp_path: Path) -> None:
    model = Model.train(name, make_windows([*USUAL, ["a", "q"], ["b", "a", "c"]]))
    model.save(tmp_path / "model")
    windows = make_windows([*USUAL, ["x", "y", "z"], ["q"] * 50, ["b", "b", "c", "d"]])
    one, other = model.judge(windows), Model.load(tmp_path / "model").judge(windows)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert one.threshold == other.threshold
    assert one.anomalies == other.anomalies
    assert one.anomalies
    for anomaly in one.anomalies:
        shares = [finding.share for finding in anomaly.explanation.findings]
        assert sum(shares) == pytest.approx(1)
        assert min(shares) >= 0


@every_family
def test_a_saved_model_holds_no_pickle(name: str, make_windows: Any, tmp_path: Path) -> None:
    Model.train(name, make_windows(USUAL)).save(tmp_path / "model")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".npz", ".parquet", ".skops"}
    for path in files:
        for member in contents(path):
            assert not member.startswith(b"\x80"), path
            if member.startswith(b"\x93NUMPY"):
                np.load(BytesIO(member), allow_pickle=False)


def contents(path: Path) -> list[bytes]:
    """The file's bytes, or those of each file in it where it is an archive."""
    if not zipfile.is_zipfile(path):
        return [path.read_bytes()]
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


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
    "count",
    [pytest.param(0, id="a night without windows"), pytest.param(1, id="with a single one")],
)
def test_too_small_a_first_night_flags_nothing(count: int, make_windows: Any) -> None:
    judgement = judge_without_model(make_windows([]), make_windows(USUAL[:count]))
    assert judgement.scores.shape == (count,)
    assert judgement.anomalies == []


def test_a_first_night_of_equal_windows_flags_nothing(make_windows: Any) -> None:
    night = make_windows([["a", "b"]] * 20)
    assert judge_without_model(make_windows([]), night).anomalies == []


def test_a_first_night_says_what_is_odd_next_to_the_rest_of_it(make_windows: Any) -> None:
    night = make_windows([*USUAL[:20], ["a", "x", "y", "c"]])
    (anomaly,) = judge_without_model(make_windows([]), night).anomalies
    x, y, missing = anomaly.explanation.findings
    assert [x.template_id, y.template_id, missing.kind] == ["x", "y", "missing"]
    assert x.share == y.share > missing.share > 0


def test_history_that_suffices_is_what_the_night_is_judged_by(make_windows: Any) -> None:
    # Odd next to the history, though the whole night is so.
    night = make_windows([["x", "y"]] * 10)
    assert len(judge_without_model(make_windows(USUAL), night).anomalies) == 10
    assert judge_without_model(make_windows(USUAL[: LEAST_WINDOWS - 1]), night).anomalies == []


@pytest.mark.parametrize(
    ("score", "severity"), [(1.9, "low"), (2.0, "medium"), (3.5, "high"), (5.0, "critical")]
)
def test_severity_is_measured_by_the_oddest_normal_window(score: float, severity: str) -> None:
    assert severity_of(score, largest=2.0) == severity
