"""What was never there before: the detector that works from the first night."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ml.profile import PAIR, NormalProfile, distinct_rows, neighbours, window_numbers
from ml.tails import Tail
from ml.windows import Windows

Floats = npt.NDArray[np.float64]


class Novelty:
    """How improbable a window's templates, counts and order are among normal windows.

    Three statistics of a window are compared with what normal windows show:

    - how many of its templates were never seen,
    - how far its count vector lies from the nearest one seen (`NormalProfile.nearest`),
    - how many pairs of neighbouring events were never seen in that order.

    Each becomes a tail probability (`Tail`) against the same statistic of every normal window as
    if that one window had been left out. Where new templates come every day the first statistic
    is therefore worth little, and where no two windows are alike the second one is: the detector
    finds out by itself what is telling in a source. The score is

        -log10(min(1, 3 * min(p_templates, p_counts, p_order)))

    so 3 reads "one normal window in a thousand looks this odd"; the factor 3 pays for looking at
    three statistics (Bonferroni). There is nothing to tune.
    """

    def fit(self, windows: Windows) -> Self:
        self.profile_ = profile = NormalProfile.fit(windows)
        _, _, row_of_window = distinct_rows(windows.count_vectors(profile.vocabulary).toarray())
        in_one_window = np.append(profile.windows_with_template == 1, False)
        own_templates = (profile.vectors[:, in_one_window] > 0).sum(axis=1)
        own_pairs = neighbours(windows).join(
            profile.pairs.filter(pl.col("windows") == 1), on=PAIR, how="semi"
        )
        self.templates_tail_ = Tail(own_templates[row_of_window].astype(np.float64))
        self.counts_tail_ = Tail(profile.leave_one_out_distances()[row_of_window])
        self.order_tail_ = Tail(_per_window(own_pairs, len(windows)))
        return self

    def score(self, windows: Windows) -> Floats:
        vectors = windows.count_vectors(self.profile_.vocabulary).toarray()
        distinct, _, row_of_window = distinct_rows(vectors)
        distances, _ = self.profile_.nearest(distinct)
        unseen_pairs = self.profile_.unseen_pairs(windows)
        log10_p = np.minimum.reduce(
            [
                self.templates_tail_.log10_probability(self._unseen_templates(windows)),
                self.counts_tail_.log10_probability(distances[row_of_window]),
                self.order_tail_.log10_probability(_per_window(unseen_pairs, len(windows))),
            ]
        )
        scores: Floats = np.maximum(-log10_p - np.log10(3), 0.0)
        return scores

    def _unseen_templates(self, windows: Windows) -> Floats:
        seen = pl.DataFrame({"template_id": self.profile_.vocabulary})
        unseen = (
            windows.events.select("template_id")
            .with_columns(window=window_numbers(windows))
            .join(seen, on="template_id", how="anti")
            .unique()
        )
        return _per_window(unseen, len(windows))

    def save(self, folder: Path) -> None:
        self.profile_.save(folder)
        np.savez_compressed(
            folder / "tails.npz",
            templates=self.templates_tail_.sample,
            counts=self.counts_tail_.sample,
            order=self.order_tail_.sample,
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        detector = cls()
        detector.profile_ = NormalProfile.load(folder)
        with np.load(folder / "tails.npz", allow_pickle=False) as tails:
            detector.templates_tail_ = Tail(tails["templates"])
            detector.counts_tail_ = Tail(tails["counts"])
            detector.order_tail_ = Tail(tails["order"])
        return detector


def _per_window(rows: pl.DataFrame, count: int) -> Floats:
    """How many rows each window has, shape (count,)."""
    return np.bincount(rows["window"].to_numpy(), minlength=count).astype(np.float64)
