"""Which candidate judges the coming nights."""

from __future__ import annotations

import pytest

from ml.promotion import Candidate, choose


@pytest.mark.parametrize(
    ("figures", "chosen", "reason"),
    [
        pytest.param([None, None], 0, "no labelled anomaly", id="without labels the first"),
        pytest.param([0.4, 0.6], 1, "f0 0.400, f1 0.600", id="the highest average precision"),
        pytest.param([0.6, 0.4], 0, "f0 0.600, f1 0.400", id="the highest, if it is the first"),
        pytest.param([0.6, 0.6], 0, "highest", id="the earlier of equals"),
        pytest.param([None, 0.1], 1, "highest", id="a measured one before an unmeasured one"),
        pytest.param([None, 0.0], 1, "highest", id="even if it measured nothing"),
    ],
)
def test_the_best_candidate_is_chosen(
    figures: list[float | None], chosen: int, reason: str
) -> None:
    candidates = [Candidate(f"f{n}", figure) for n, figure in enumerate(figures)]
    verdict = choose(candidates)
    assert verdict.chosen == candidates[chosen]
    assert verdict.reason.startswith(f"f{chosen} ")
    assert reason in verdict.reason


def test_there_must_be_a_candidate() -> None:
    with pytest.raises(ValueError, match="no candidate"):
        choose([])
