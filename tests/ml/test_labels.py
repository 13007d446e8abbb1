"""What people know of windows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from ml.labels import anomalous_windows, are_looked_at

TIME = pl.Datetime("us", "UTC")
SCHEMA = {"session_key": pl.String, "starts_at": TIME, "ends_at": TIME, "is_anomalous": pl.Boolean}
SECOND = timedelta(seconds=1)
# Key, interval in seconds after the first window's start, anomalous.
Label = tuple[str | None, tuple[int, int] | None, bool]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param([], [], id="without labels all are normal"),
        pytest.param([("s00001", None, True)], [1], id="a session key"),
        pytest.param([("s99999", None, True)], [], id="a key that does not occur"),
        pytest.param([("s00001", None, False)], [], id="a label that says normal"),
        pytest.param([("s00000", None, True), ("s00002", None, True)], [0, 2], id="several keys"),
        pytest.param([(None, (60, 61), True)], [1], id="an interval starts with its first moment"),
        pytest.param([(None, (58, 60), True)], [], id="an interval ends before its last moment"),
        pytest.param([(None, (61, 62), True)], [1], id="one event inside is enough"),
        pytest.param([(None, (2, 60), True)], [], id="an interval between events"),
        pytest.param([(None, (0, 61), True)], [0, 1], id="an interval over two windows"),
        pytest.param([(None, (60, 61), False)], [], id="an interval that is called normal"),
        pytest.param([("s00001", (0, 900), True)], [1], id="key and interval: both hold"),
        pytest.param([("s00000", (60, 61), True)], [], id="key and interval: only the key"),
        pytest.param(
            [("s00000", (60, 61), True), (None, (120, 121), True), ("s00000", None, True)],
            [0, 2],
            id="labels of all kinds together",
        ),
    ],
)
def test_labels(labels: list[Label], expected: list[int], make_windows: Any) -> None:
    windows = make_windows([["a", "b"]] * 3)
    zero = windows.spans["starts_at"][0]
    rows = [
        (key, *((zero + s * SECOND for s in seconds) if seconds else (None, None)), truth)
        for key, seconds, truth in labels
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    truths = anomalous_windows(windows, frame)
    assert truths.tolist() == [row in expected for row in range(3)]


def test_windows_without_a_session_key_are_labelled_by_intervals_alone(make_windows: Any) -> None:
    windows = make_windows([["a"], ["b"]])
    keyless = type(windows)(
        windows.spans.with_columns(session_key=pl.lit(None, pl.String)),
        windows.events,
        windows.offsets,
    )
    zero = windows.spans["starts_at"][0]
    minute = timedelta(minutes=1)
    rows = [("s00000", None, None, True), (None, zero + minute, zero + 2 * minute, True)]
    labels = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    assert anomalous_windows(keyless, labels).tolist() == [False, True]


def test_no_windows_have_no_labels(make_windows: Any) -> None:
    labels = pl.DataFrame([("s00000", None, None, True)], schema=SCHEMA, orient="row")
    assert anomalous_windows(make_windows([]), labels).shape == (0,)


@pytest.mark.parametrize(
    ("labels", "is_looked_at"),
    [
        pytest.param([], False, id="nobody has said anything"),
        pytest.param([("s00001", True)], True, id="somebody has found an anomaly"),
        pytest.param([("s99999", True)], False, id="found elsewhere"),
        pytest.param([("s00001", False)], False, id="one of many is called normal"),
        pytest.param([(None, False)], True, id="the period is called normal"),
    ],
)
def test_whether_windows_are_looked_at(
    labels: list[tuple[str | None, bool]], is_looked_at: bool, make_windows: Any
) -> None:
    windows = make_windows([["a", "b"]] * 60)
    span = (windows.spans["starts_at"][0], windows.spans["starts_at"][59])
    rows = [(key, *((None, None) if key else span), is_bad) for key, is_bad in labels]
    known = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    assert are_looked_at(windows, known) == is_looked_at
