"""What of a test part was known before is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ml.leaks import leak_report
from ml.splits import split_by_share, split_in_order


def test_a_split_along_time_leaks_nothing(make_windows: Any) -> None:
    windows = make_windows([["a", "b"], ["a", "c"], ["a", "b"], ["d"]])
    report = leak_report(split_by_share(windows, 0.5))
    assert not report.is_leaking
    assert (report.verbatim, report.verbatim_share) == (1, 0.5)
    assert (report.templates_shared, report.templates_new) == (2, 1)
    assert report.as_dict()["distinct_verbatim_share"] == 0.5


def test_windows_of_the_future_in_training_are_seen(make_windows: Any) -> None:
    windows = make_windows([["a"]] * 6)
    split = split_by_share(windows, 0.5)
    planted = replace(split, train=windows.take(np.array([0, 1, 2, 5])))
    report = leak_report(planted)
    assert report.is_leaking
    assert (report.windows_shared, report.events_shared, report.learnt_too_late) == (1, 1, 1)


def test_windows_without_times_can_only_be_compared(make_windows: Any) -> None:
    report = leak_report(split_in_order(make_windows([["a"], ["b"], ["a"]]), 0.5))
    assert report.test_windows == 1
    assert report.verbatim == 1
