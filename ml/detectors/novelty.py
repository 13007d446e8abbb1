"""What was never there before: the detector that works from the first night."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from optuna.distributions import BaseDistribution, FloatDistribution
from scipy.spatial.distance import cdist

from ml.entities import Entities
from ml.profile import LEAST_DEVIATION, PAIR, deviations, neighbours
from ml.ranges import WEIGHT_OF_EXCESS, Ranges
from ml.tails import Tail
from ml.windows import Windows

Floats = npt.NDArray[np.float64]

# How much more a template of this level says than one of INFO or none.
LEVELS = {"WARN": 2.0, "ERROR": 3.0, "CRITICAL": 3.0, "FATAL": 3.0}
# The largest deviation leads, and the others break ties.
SHARE_OF_SUM = 0.1
# What 98 in 100 normal windows are nearer than: with more in it than may be anomalous, the crowd's
# distance tells nothing.
AMIDST = 1.7
# After so many windows without a surprise the next one means something.
MANY_WINDOWS = 100
# Normal windows compared with, the most frequent first: bounds memory and time.
MOST_POINTS = 10_000
BLOCK_WINDOWS = 4096
# The coordinates after those of the known templates: unseen ones, order, numbers, habits.
BESIDE_COUNTS = 4
BLOCK_POINTS = 256


class Novelty:
    """How far a window lies from normal windows, by what varies among these.

    A window is a point with one coordinate a template, log(1 + count); one more for templates
    that no normal window holds, which grows with their level and, slowly, with their number; and
    one for events out of order: pairs of neighbours never seen, after a template whose successor
    was no surprise in any normal window; one for numbers that leave their range (`Ranges`), by how
    far the oddest lies outside; and one for what the window's user, host or account never does
    though its peers do (`Entities`). Each coordinate is divided by its standard deviation over
    normal windows, so that a second commit where there was always one says more than thirty reads
    instead of three, and multiplied by `LEVELS`. Two points are apart by their largest difference
    and a tenth of the sum of all.

    The score is the distance to the nearest normal window. Where some of the training windows may
    be anomalous, it is the surprise (`Tail`) of the distance to the one that so many are nearer
    than: an anomaly that was there before has too few neighbours to hide among. In the midst of
    normal windows, where that distance says nothing, the surprise of the nearest one counts.

    anomalous: how many of the windows it is fitted on may be anomalous.
    share_of_sum: of the sum in a distance; the rest is the largest difference.
    least_deviation: by so much, at least, a coordinate counts as varying.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]] = {
        "share_of_sum": FloatDistribution(0.01, 1.0, log=True),
        "least_deviation": FloatDistribution(0.002, 0.5, log=True),
    }

    def __init__(
        self,
        anomalous: int = 0,
        share_of_sum: float = SHARE_OF_SUM,
        least_deviation: float = LEAST_DEVIATION,
    ) -> None:
        self.anomalous = anomalous
        self.share_of_sum = share_of_sum
        self.least_deviation = least_deviation

    def fit(self, windows: Windows) -> Self:
        if not len(windows):
            raise ValueError("novelty needs at least one window to fit on, got none")
        self.vocabulary_ = sorted(windows.events["template_id"].unique().to_list())
        pairs = neighbours(windows).group_by(PAIR).agg(windows=pl.len()).sort(PAIR)
        self.pairs_ = pairs.select(PAIR)
        successors = pairs.group_by("first").agg(pl.col("windows").sum(), rarest=pl.min("windows"))
        is_orderly = (pl.col("rarest") > 1) & (pl.col("windows") >= MANY_WINDOWS)
        self.orderly_ = successors.filter(is_orderly)["first"].sort().to_list()
        self.ranges_ = Ranges.fit(windows, self.anomalous)
        self.entities_ = Entities.fit(windows, self.anomalous)
        self.weights_ = np.ones(len(self.vocabulary_) + BESIDE_COUNTS)
        points, multiplicity = self._distinct(windows)
        varying = deviations(points, multiplicity) + self.least_deviation
        self.weights_ = self._levels(windows) / varying
        points *= self.weights_
        kept = np.sort(np.argsort(-multiplicity, kind="stable")[:MOST_POINTS])
        self.points_, self.multiplicity_ = points[kept], multiplicity[kept]
        self.nearer_, self.tails_ = [1], []
        if self.anomalous:
            self.nearer_ = [1, 1 + self.anomalous]
            distances = self._distances(points, without_itself=multiplicity == 1)
            self.tails_ = [Tail(np.repeat(each, multiplicity)) for each in distances]
        return self

    def score(self, windows: Windows) -> Floats:
        scores = [np.empty(0)]
        for block in self._blocks(windows):
            points, of_window = np.unique(block, axis=0, return_inverse=True)
            found = self._distances(points)
            if self.tails_:
                nearest, crowd = (
                    tail.surprise(distances)
                    for tail, distances in zip(self.tails_, found, strict=True)
                )
                found = [np.maximum(crowd, np.where(crowd < AMIDST, nearest, 0.0))]
            scores.append(found[0][of_window.ravel()])
        return np.concatenate(scores)

    def _distinct(self, windows: Windows) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The distinct points of the windows, shape (d, coordinates), and how many share each."""
        parts = [np.unique(each, axis=0, return_counts=True) for each in self._blocks(windows)]
        points, place = np.unique(
            np.concatenate([each for each, _ in parts]), axis=0, return_inverse=True
        )
        counts = np.concatenate([each for _, each in parts])
        multiplicity = np.zeros(len(points), dtype=np.int64)
        np.add.at(multiplicity, place.ravel(), counts)
        return points, multiplicity

    def _blocks(self, windows: Windows) -> Iterator[Floats]:
        """The weighted coordinates of the windows, in blocks of shape (b, coordinates)."""
        for start in range(0, len(windows), BLOCK_WINDOWS):
            rows = np.arange(start, min(start + BLOCK_WINDOWS, len(windows)))
            yield self._coordinates(windows.take(rows)) * self.weights_

    def _coordinates(self, windows: Windows) -> Floats:
        counts = windows.count_vectors(self.vocabulary_).toarray().astype(np.float64)
        known = pl.DataFrame({"template_id": self.vocabulary_}, schema={"template_id": pl.String})
        unseen = (
            windows.events.select("template_id", level=_level(windows.events))
            .with_columns(window=windows.rows_of_events)
            .join(known, on="template_id", how="anti")
            .group_by("window", "template_id")
            .agg(pl.col("level").max())
        )
        highest, sums = np.zeros(len(windows)), np.zeros(len(windows))
        np.maximum.at(highest, unseen["window"].to_numpy(), unseen["level"].to_numpy())
        np.add.at(sums, unseen["window"].to_numpy(), unseen["level"].to_numpy())
        counts[:, -1] = highest + self.share_of_sum * np.log1p(sums)
        strange = (
            neighbours(windows)
            .join(self.pairs_, on=PAIR, how="anti")
            .filter(pl.col("first").is_in(self.orderly_))
            .join(known, left_on="second", right_on="template_id", how="semi")
        )
        order = np.bincount(strange["window"].to_numpy(), minlength=len(windows))
        excess = np.zeros(len(windows))
        np.maximum.at(excess, windows.rows_of_events, self.ranges_.excess_of_events(windows))
        habits = self.entities_.excess_of_windows(windows)
        odd = WEIGHT_OF_EXCESS * np.column_stack([excess, habits])
        return np.column_stack([np.log1p(counts), np.log1p(order), odd])

    def _levels(self, windows: Windows) -> Floats:
        """The level at which each template mostly occurs, shape (coordinates,)."""
        usual = (
            windows.events.select("template_id", level=_level(windows.events))
            .group_by("template_id")
            .agg(pl.col("level").median())
            .sort("template_id")
        )
        return np.concatenate([usual["level"].to_numpy(), np.ones(BESIDE_COUNTS)])

    def _distances(
        self, points: Floats, without_itself: npt.NDArray[np.bool_] | None = None
    ) -> list[Floats]:
        """For each number of `nearer_` the distance to the normal window that comes at this place,
        shape (n,).

        without_itself: which points are those of one normal window, which is not counted.
        """
        found = np.empty((len(self.nearer_), len(points)))
        for start in range(0, len(points), BLOCK_POINTS):
            block = slice(start, start + BLOCK_POINTS)
            largest = cdist(points[block], self.points_, "chebyshev")
            sums = cdist(points[block], self.points_, "cityblock")
            distances = (1 - self.share_of_sum) * largest + self.share_of_sum * sums
            order = np.argsort(distances, axis=1)
            ordered = np.take_along_axis(distances, order, axis=1)
            windows = np.cumsum(self.multiplicity_[order], axis=1)
            for row, place in enumerate(self.nearer_):
                wanted = np.full(len(ordered), place)
                if without_itself is not None:
                    wanted += without_itself[block]
                column = (windows >= np.minimum(wanted, windows[:, -1])[:, None]).argmax(axis=1)
                found[row, block] = ordered[np.arange(len(ordered)), column]
        return list(found)

    def save(self, folder: Path) -> None:
        self.pairs_.write_parquet(folder / "pairs.parquet")
        self.ranges_.table.write_parquet(folder / "ranges.parquet")
        self.entities_.save(folder)
        np.savez_compressed(
            folder / "novelty.npz",
            anomalous=self.anomalous,
            share_of_sum=self.share_of_sum,
            vocabulary=np.array(self.vocabulary_, dtype=np.str_),
            orderly=np.array(self.orderly_, dtype=np.str_),
            weights=self.weights_,
            points=self.points_,
            multiplicity=self.multiplicity_,
            nearer=np.array(self.nearer_),
            tails=np.array([tail.sample for tail in self.tails_]),
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        with np.load(folder / "novelty.npz", allow_pickle=False) as arrays:
            detector = cls(int(arrays["anomalous"]), float(arrays["share_of_sum"]))
            detector.vocabulary_ = arrays["vocabulary"].tolist()
            detector.weights_ = arrays["weights"]
            detector.points_ = arrays["points"]
            detector.multiplicity_ = arrays["multiplicity"]
            detector.orderly_ = arrays["orderly"].tolist()
            detector.nearer_ = arrays["nearer"].tolist()
            detector.tails_ = [Tail(sample) for sample in arrays["tails"]]
        detector.pairs_ = pl.read_parquet(folder / "pairs.parquet")
        detector.ranges_ = Ranges(pl.read_parquet(folder / "ranges.parquet"))
        detector.entities_ = Entities.load(folder)
        return detector


def _level(events: pl.DataFrame) -> pl.Series:
    return events["severity"].replace_strict(LEVELS, default=1.0, return_dtype=pl.Float64)
