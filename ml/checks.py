"""What every detector must keep, as checks that a new one runs.

    for check in CHECKS:
        check(MyDetector)

Each takes what makes a detector that is not fitted yet and raises CheckFailed with a sentence that
says what was expected.
"""

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from ml.detectors import Detector, Floats
from ml.windows import SessionRule, Windows, closed_windows

Create = Callable[[], Detector]

START = datetime(2026, 3, 2, tzinfo=UTC)
USUAL = [["a", "b", "c"], ["a", "b", "b", "c"], ["a", "d"]] * 40
ODD = {
    "an unseen template": ["a", "x", "x", "x", "b", "c"],
    "a burst": ["a", *["b"] * 60, "c"],
    "missing steps": ["c"],
}
PICKLE_PROTOCOL = b"\x80"
NUMPY_MAGIC = b"\x93NUMPY"


class CheckFailed(AssertionError):
    """A detector does not do what every detector must."""


def sessions(sequences: Sequence[Sequence[str]]) -> Windows:
    """Windows out of sequences of template ids: one a minute, its events a second apart."""
    rows = [
        (START + timedelta(minutes=number, seconds=place), f"s{number:05d}", "INFO", template)
        for number, sequence in enumerate(sequences)
        for place, template in enumerate(sequence)
    ]
    schema = pl.Schema(
        {
            "event_time": pl.Datetime("us", "UTC"),
            "session_key": pl.String(),
            "severity": pl.String(),
            "template_id": pl.String(),
        }
    )
    events = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        object_key=pl.lit("a.log"), line_number=pl.int_range(1, pl.len() + 1)
    )
    rule = SessionRule(timedelta(minutes=30), timedelta(hours=6))
    return closed_windows(events, rule, START, START + timedelta(days=365))


def odd_windows_score_higher(create: Create) -> None:
    """Above 19 in 20 normal windows, fitted on normal windows alone or with a few odd ones among
    them: some detectors know only what is unlike all, others only what they have seen to be rare.
    """
    usual = sessions(USUAL)
    detectors = [create().fit(usual), create().fit(sessions([*USUAL, *ODD.values()]))]
    bounds = [float(np.quantile(_scores(detector, usual), 0.95)) for detector in detectors]
    for name, sequence in ODD.items():
        scores = [float(_scores(detector, sessions([sequence]))[0]) for detector in detectors]
        if not any(score > bound for score, bound in zip(scores, bounds, strict=True)):
            raise CheckFailed(
                f"{name} scores {scores[0]:.3f}, expected more than 19 in 20 normal windows "
                f"({bounds[0]:.3f}): high must mean anomalous"
            )


def same_windows_give_same_scores(create: Create) -> None:
    windows = sessions([*USUAL, *ODD.values()])
    one, other = (_scores(create().fit(windows), windows) for _ in range(2))
    _equal(one, other, "two detectors of the same windows, parameters and seed differ")


def order_of_batch_makes_no_difference(create: Create) -> None:
    detector = create().fit(sessions(USUAL))
    windows = sessions([*USUAL[:9], *ODD.values()])
    order = np.random.default_rng(0).permutation(len(windows))
    _equal(
        _scores(detector, windows.take(order)),
        _scores(detector, windows)[order],
        "a window's score depends on its place in the batch",
    )


def company_makes_no_difference(create: Create) -> None:
    detector = create().fit(sessions(USUAL))
    windows = sessions([*ODD.values(), *USUAL[:9]])
    _equal(
        _scores(detector, windows.take(np.array([0]))),
        _scores(detector, windows)[:1],
        "a window's score depends on the windows beside it",
    )


def few_windows_will_do(create: Create) -> None:
    """Fitted on one window or two, scoring none, one, and one with nothing but unseen templates."""
    for count in (1, 2):
        detector = create().fit(sessions(USUAL[:count]))
        for sequences in ([], [["a"]], [["x", "y"]]):
            _scores(detector, sessions(sequences))


def no_windows_are_refused(create: Create) -> None:
    try:
        create().fit(sessions([]))
    except ValueError as error:
        if not str(error):
            raise CheckFailed("fitting on no windows raises a ValueError without words") from error
    else:
        raise CheckFailed("fitting on no windows must raise a ValueError that says so")


def saved_is_loaded(create: Create) -> None:
    detector = create().fit(sessions(USUAL))
    windows = sessions([*USUAL, *ODD.values()])
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder))
        again = type(detector).load(Path(folder))
    message = "what was saved and loaded scores otherwise"
    _equal(_scores(again, windows), _scores(detector, windows), message)


def saved_without_pickle(create: Create) -> None:
    with tempfile.TemporaryDirectory() as folder:
        create().fit(sessions(USUAL)).save(Path(folder))
        for path in (path for path in Path(folder).rglob("*") if path.is_file()):
            for content in _contents(path):
                if content.startswith(PICKLE_PROTOCOL):
                    raise CheckFailed(f"{path.name} holds a pickle, which runs code when loaded")
                if content.startswith(NUMPY_MAGIC):
                    np.load(BytesIO(content), allow_pickle=False)


def input_is_left_alone(create: Create) -> None:
    windows = sessions([*USUAL, *ODD.values()])
    before = windows.events.clone(), windows.spans.clone(), windows.offsets.copy()
    create().fit(windows).score(windows)
    after = windows.events, windows.spans, windows.offsets
    if (
        not (before[0].equals(after[0]) and before[1].equals(after[1]))
        or (before[2] != after[2]).any()
    ):
        raise CheckFailed("fit or score changes the windows it is given")


def randomness_of_others_is_left_alone(create: Create) -> None:
    state = np.random.get_state(legacy=False)["state"]["key"].copy()
    windows = sessions(USUAL)
    create().fit(windows).score(windows)
    after = np.random.get_state(legacy=False)["state"]["key"]
    if (state != after).any():
        raise CheckFailed("fit or score draws from NumPy's global generator: seed one of your own")


CHECKS: tuple[Callable[[Create], None], ...] = (
    odd_windows_score_higher,
    same_windows_give_same_scores,
    order_of_batch_makes_no_difference,
    company_makes_no_difference,
    few_windows_will_do,
    no_windows_are_refused,
    saved_is_loaded,
    saved_without_pickle,
    input_is_left_alone,
    randomness_of_others_is_left_alone,
)


def _scores(detector: Detector, windows: Windows) -> Floats:
    scores = detector.score(windows)
    if scores.shape != (len(windows),):
        raise CheckFailed(f"{len(windows)} windows get scores of shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise CheckFailed(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")
    return scores


def _equal(found: Floats, expected: Floats, message: str) -> None:
    if not np.allclose(found, expected):
        row = int(np.argmax(np.abs(found - expected)))
        raise CheckFailed(f"{message}: {found[row]!r} and {expected[row]!r}")


def _contents(path: Path) -> list[bytes]:
    """The file's bytes, or those of each file in it where it is an archive."""
    if not zipfile.is_zipfile(path):
        return [path.read_bytes()]
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]
