"""What of the test part was known before: the leak report that comes with every figure."""

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from ml.splits import Split
from ml.windows import Windows

ADDRESS = ["object_key", "line_number"]


class Leak(ValueError):
    """What is to be judged has been learnt; the message says what was found in both parts."""


@dataclass(frozen=True, slots=True)
class LeakReport:
    """Counts over both parts of a split.

    embargoed: windows in neither part, since they straddle the cut.
    verbatim: test windows whose sequence of templates stands in training; known by heart, they
        say little of a detector. distinct_verbatim: the same, each sequence counted once.
    templates_shared: templates of both parts; templates_new: of the test part alone.
    windows_shared: the same windows in both parts. events_shared: the same lines.
    learnt_too_late: training windows that end after the first test window starts.

    The last three must be zero: else what is to be judged has been learnt.
    """

    train_windows: int
    test_windows: int
    embargoed: int
    verbatim: int
    distinct_test_windows: int
    distinct_verbatim: int
    templates_shared: int
    templates_new: int
    windows_shared: int
    events_shared: int
    learnt_too_late: int

    @property
    def verbatim_share(self) -> float:
        return self.verbatim / self.test_windows if self.test_windows else 0.0

    @property
    def distinct_verbatim_share(self) -> float:
        return self.distinct_verbatim / (self.distinct_test_windows or 1)

    @property
    def is_leaking(self) -> bool:
        return bool(self.windows_shared or self.events_shared or self.learnt_too_late)

    def refuse_leak(self) -> None:
        """Raises Leak where training saw anything of what is judged."""
        if self.is_leaking:
            raise Leak(
                f"training saw what is to be judged: {self.windows_shared} windows and "
                f"{self.events_shared} lines stand in both parts, and {self.learnt_too_late} "
                "training windows end after the first one that is judged starts; split with "
                "ml.splits"
            )

    def as_dict(self) -> dict[str, int | float | bool]:
        return {
            **asdict(self),
            "verbatim_share": self.verbatim_share,
            "distinct_verbatim_share": self.distinct_verbatim_share,
            "is_leaking": self.is_leaking,
        }


def leak_report(split: Split) -> LeakReport:
    """What the test part of a split has in common with its training part."""
    train, test = split.train, split.test
    known = set(train.sequences())
    tested = test.sequences()
    distinct = set(tested)
    templates = [set(part.events["template_id"].unique()) for part in (train, test)]
    return LeakReport(
        train_windows=len(train),
        test_windows=len(test),
        embargoed=split.embargoed,
        verbatim=sum(sequence in known for sequence in tested),
        distinct_test_windows=len(distinct),
        distinct_verbatim=len(distinct & known),
        templates_shared=len(templates[0] & templates[1]),
        templates_new=len(templates[1] - templates[0]),
        windows_shared=_in_both(train.spans, test.spans, ["window_id"]),
        events_shared=_in_both(train.events, test.events, ADDRESS),
        learnt_too_late=_learnt_too_late(train, test),
    )


def _in_both(train: pl.DataFrame, test: pl.DataFrame, key: list[str]) -> int:
    """Distinct rows of the test part that are in training; 0 where there is no such key."""
    if not {*key} <= {*train.columns} & {*test.columns}:
        return 0
    return len(test.select(key).unique().join(train.select(key).unique(), on=key, how="semi"))


def _learnt_too_late(train: Windows, test: Windows) -> int:
    if "starts_at" not in train.spans.columns or not len(test):
        return 0
    return int(np.count_nonzero(train.spans["ends_at"] >= test.spans["starts_at"].min()))
