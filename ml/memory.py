"""Which past anomalies a new one is like, by the events of its window."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ml.profile import LEAST_WEIGHT

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Similarities that are equal but for rounding are ties.
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Like:
    """A past anomaly by its place among the past ones. similarity: 1 with the same events, 0 with
    none in common."""

    place: int
    similarity: float


def nearest(
    new: Sequence[Sequence[str]], past: Sequence[Sequence[str]], count: int
) -> list[list[Like]]:
    """For each new anomaly the `count` past ones that are most alike, the most alike first; those
    with no event in common are left out.

    new, past: the template ids of each anomaly's window in order, of one source; the past ones in
        order of time.

    The measure is the weighted Jaccard similarity (Ružička, 1958; see Cha, "Comprehensive survey on
    distance/similarity measures between probability density functions", 2007): the sum over
    templates of the lesser of two weights, by that of the greater. A template weighs
    log(1 + its count) log((n + 1) / (n_t + 1)), where n_t of n past anomalies hold it, so that what
    every anomaly of the source holds says little. Of equals those come first whose pairs of
    neighbours are more alike, by the same measure, and then the later ones.

    >>> nearest([("a", "b")], [("a", "c"), ("b", "a"), ("a", "b")], count=2)
    [[Like(place=2, similarity=1.0), Like(place=1, similarity=1.0)]]
    """
    if not past or not new:
        return [[] for _ in new]
    codes, rows = _events(past, new)
    by_template = _Weighed.of(codes, rows, len(past), len(new))
    is_pair = rows[:-1] == rows[1:]
    pairs = codes[:-1] * (codes.max(initial=0) + 1) + codes[1:]
    by_order = _Weighed.of(pairs[is_pair], rows[:-1][is_pair], len(past), len(new))
    found = []
    for row in range(len(new)):
        similarity = by_template.similarity(row).round(DIGITS)
        order = np.lexsort((np.arange(len(past)), by_order.similarity(row), similarity))
        best = order[::-1][:count]
        found.append([Like(int(at), float(similarity[at])) for at in best if similarity[at]])
    return found


@dataclass(frozen=True, slots=True)
class _Weighed:
    """past: weights of f features in n past anomalies, shape (n, f), by column. totals: their sums,
    shape (n,). new: of m new ones, shape (m, f), by row."""

    past: sparse.csc_array
    totals: Floats
    new: sparse.csr_array

    @classmethod
    def of(cls, codes: Ints, rows: Ints, past: int, new: int) -> "_Weighed":
        """codes, rows: the feature and the anomaly of each event, the past anomalies first."""
        features, columns = np.unique(codes, return_inverse=True)
        shape = (past + new, len(features))
        counts = sparse.coo_array((np.ones(len(rows)), (rows, columns.ravel())), shape).tocsr()
        holders = np.bincount(counts[:past].indices, minlength=len(features))
        weights = np.maximum(np.log((past + 1) / (holders + 1)), LEAST_WEIGHT)
        counts.data = np.log1p(counts.data) * weights[counts.indices]
        known = counts[:past]
        return cls(known.tocsc(), known.sum(axis=1), counts[past:])

    def similarity(self, row: int) -> Floats:
        """Of a new anomaly and each past one, shape (n,)."""
        start, end = self.new.indptr[row : row + 2]
        own = self.new.data[start:end]
        others = self.past[:, self.new.indices[start:end]]
        lesser = np.minimum(others.data, np.repeat(own, np.diff(others.indptr)))
        shared = np.bincount(others.indices, lesser, len(self.totals))
        greater = self.totals + own.sum() - shared
        share: Floats = np.divide(shared, greater, out=np.zeros(len(greater)), where=greater > 0)
        return share


def _events(past: Sequence[Sequence[str]], new: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """The template of each event as a number, and the row of its anomaly, the past ones first."""
    sequences = [*past, *new]
    numbers: dict[str, int] = {}
    codes = [
        numbers.setdefault(template, len(numbers)) for template in chain.from_iterable(sequences)
    ]
    rows = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    return np.array(codes, dtype=np.int64), rows
