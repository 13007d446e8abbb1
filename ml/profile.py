"""What normal looks like: the count vectors of the training windows, the order of their events, the
range of their numbers and the habits of users and hosts.

Detectors measure distance to it, and explanations compare an odd window with its nearest
normal one.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.spatial.distance import cdist

from ml.entities import Entities
from ml.ranges import Ranges
from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Rows compared at a time: bounds the distance matrix to a few hundred megabytes.
BLOCK_ROWS = 2048
# A template in every window still weighs something: its count may be what is odd.
LEAST_WEIGHT = 0.1
# What never varied counts as varying by two percent: log(1 + count) differs by as much at 35.
LEAST_DEVIATION = 0.02
PAIR = ["first", "second"]


@dataclass(frozen=True, slots=True)
class NormalProfile:
    """d distinct count vectors over a vocabulary of t templates, and the pairs of neighbours.

    vocabulary: template ids, t of them, sorted.
    windows_with_template: windows that hold each template, shape (t,).
    vectors: distinct count vectors, shape (d, t + 1); the last column is zero, the place of
        templates outside the vocabulary.
    multiplicity: windows with each vector, shape (d,).
    pairs: `first`, `second`, `windows`: templates seen one directly after the other, and in how
        many windows.
    ranges: of the numbers in the templates' parameters.
    entities: what each user, host or account does, where session keys are such.
    """

    vocabulary: list[str]
    windows_with_template: Ints
    vectors: Ints
    multiplicity: Ints
    pairs: pl.DataFrame
    ranges: Ranges
    entities: Entities

    @classmethod
    def fit(cls, windows: Windows, anomalous: int = 0) -> "NormalProfile":
        """anomalous: how many of the windows may be anomalous."""
        if not len(windows):
            raise ValueError("a profile of normal needs at least one window, got none")
        vocabulary = sorted(windows.events["template_id"].unique().to_list())
        distinct, counts, _ = distinct_rows(windows.count_vectors(vocabulary).toarray())
        windows_with_template = ((distinct[:, :-1] > 0) * counts[:, None]).sum(axis=0)
        pairs = neighbours(windows).group_by(PAIR).agg(windows=pl.len()).sort(PAIR)
        ranges = Ranges.fit(windows, anomalous)
        entities = Entities.fit(windows, anomalous)
        return cls(vocabulary, windows_with_template, distinct, counts, pairs, ranges, entities)

    @property
    def size(self) -> int:
        """Windows that the profile was fitted on."""
        return int(self.multiplicity.sum())

    @property
    def weights(self) -> Floats:
        """log((n + 1) / (n_t + 1)) per template, shape (t + 1,): rare templates tell more, and
        one never seen tells most."""
        holders = np.append(self.windows_with_template, 0)
        return np.maximum(np.log((self.size + 1) / (holders + 1)), LEAST_WEIGHT)

    def nearest(self, vectors: Ints) -> tuple[Floats, Ints]:
        """Distance to the nearest normal vector and its row, both of shape (n,).

        The distance is the weighted sum over templates of |log(1 + a) - log(1 + b)|.
        """
        reference = np.log1p(self.vectors) * self.weights
        points = np.log1p(vectors) * self.weights
        distances, rows = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
        for start in range(0, len(points), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            between = cdist(points[block], reference, "cityblock")
            rows[block] = between.argmin(axis=1)
            distances[block] = between.min(axis=1)
        return distances, rows

    def unseen_pairs(self, windows: Windows) -> pl.DataFrame:
        """The pairs of neighbours that no normal window holds: `window`, `first`, `second`."""
        return neighbours(windows).join(self.pairs, on=PAIR, how="anti")

    def save(self, folder: Path) -> None:
        self.pairs.write_parquet(folder / "pairs.parquet")
        self.ranges.table.write_parquet(folder / "ranges.parquet")
        self.entities.save(folder)
        np.savez_compressed(
            folder / "profile.npz",
            vocabulary=np.array(self.vocabulary, dtype=np.str_),
            windows_with_template=self.windows_with_template,
            vectors=self.vectors,
            multiplicity=self.multiplicity,
        )

    @classmethod
    def load(cls, folder: Path) -> "NormalProfile":
        with np.load(folder / "profile.npz", allow_pickle=False) as arrays:
            return cls(
                arrays["vocabulary"].tolist(),
                arrays["windows_with_template"],
                arrays["vectors"],
                arrays["multiplicity"],
                pl.read_parquet(folder / "pairs.parquet"),
                Ranges(pl.read_parquet(folder / "ranges.parquet")),
                Entities.load(folder),
            )


def distinct_rows(vectors: Ints) -> tuple[Ints, Ints, Ints]:
    """The distinct rows, how often each occurs, and for each row its place among them."""
    distinct, inverse, counts = np.unique(vectors, axis=0, return_inverse=True, return_counts=True)
    return distinct, counts, inverse.ravel()


def deviations(points: Floats, multiplicity: Ints) -> Floats:
    """The standard deviation of each coordinate over all windows, shape (t,), of distinct points,
    shape (d, t), each of which so many windows share."""
    mean = np.average(points, axis=0, weights=multiplicity)
    found: Floats = np.sqrt(np.average((points - mean) ** 2, axis=0, weights=multiplicity))
    return found


def neighbours(windows: Windows) -> pl.DataFrame:
    """The distinct pairs of templates that directly follow each other in each window: `window`
    (row number), `first`, `second`."""
    return (
        windows.events.select("template_id")
        .with_columns(window=windows.rows_of_events)
        .select(
            "window", first="template_id", second=pl.col("template_id").shift(-1).over("window")
        )
        .filter(pl.col("second").is_not_null())
        .unique()
    )
