"""Drift: how far the windows of a day have moved from those that a model learnt.

Each measure is told beside what chance would show. A few windows never have the shares of many, and
some templates are so rare that a model never saw them: neither is drift. So the windows of the day
and those learnt are put together and drawn apart at random, over and over (a permutation test:
Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005). If the day is like what
was learnt, the true division is as good as any of these, and its value exceeds the largest of
`DRAWS` once in `DRAWS` + 1 days, however few windows there are on either side. Windows are drawn
and not events: the events of one window belong together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import binom

from ml.model import Model
from ml.profile import NormalProfile
from ml.windows import Windows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Chance alone goes beyond the bound once in a thousand days.
DRAWS = 999
SEED = 0
# Where the scores of normal windows are cut into bins: nine in ten lie below the first, and alerts
# come from the rest. Deciles, the custom, cut through windows of one kind, whose scores differ by a
# trifle between the detector and those fitted on folds: an index of 0.2 to 3 on quiet days.
QUANTILES = (0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Drift:
    """value: what was measured; by_chance: what a day like those learnt shows at most."""

    value: float
    by_chance: float


def unseen_share(reference: Ints, sample: Ints) -> float:
    """The share of the sample's events that are of kinds which the reference does not hold, from 0
    to 1; both are counts of the same kinds, shape (t,).

    >>> unseen_share(np.array([9, 1, 0]), np.array([6, 0, 2]))
    0.25
    """
    return float(sample[reference == 0].sum() / max(sample.sum(), 1))


def jensen_shannon(one: Ints, other: Ints) -> float:
    """The Jensen-Shannon divergence of two distributions, given as counts of the same kinds, shape
    (t,): 0 where they are the same, 1 where they have no kind in common.

    The mean of how far, in bits, each is from the mean of both: H(m) - (H(p) + H(q)) / 2, with
    m = (p + q) / 2 and the entropy H to base 2 (Lin, "Divergence Measures Based on the Shannon
    Entropy", 1991). Unlike the Kullback-Leibler divergence it needs no smoothing for what one side
    lacks.

    >>> jensen_shannon(np.array([1, 1, 0]), np.array([0, 0, 5]))
    1.0
    >>> jensen_shannon(np.array([2, 4]), np.array([1, 2]))
    0.0
    """
    p, q = one / max(one.sum(), 1), other / max(other.sum(), 1)
    found = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return min(max(found, 0.0), 1.0)


def population_stability(reference: Floats, sample: Floats) -> float:
    """The population stability index of a sample, from 0 where it is spread like the reference.

    Sum over the bins between the `QUANTILES` of the reference of (q - p) ln(q / p), with the shares
    p of the reference and q of the sample (Siddiqi, "Credit Risk Scorecards", 2006). Quantiles that
    are alike are one, as where most scores are zero. Each bin counts half a value more than it has,
    so that an empty one does not make the index infinite.

    >>> scores = np.arange(1000.0)
    >>> population_stability(scores, scores), round(population_stability(scores, scores + 50), 2)
    (0.0, 0.09)
    """
    edges = np.unique(np.quantile(reference, QUANTILES, method="inverted_cdf"))
    p, q = (
        (np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) + 0.5)
        / (len(values) + 0.5 * (len(edges) + 1))
        for values in (reference, sample)
    )
    return float(((q - p) * np.log(q / p)).sum())


def template_drifts(profile: NormalProfile, windows: Windows) -> tuple[Drift, Drift]:
    """How many events are of templates that the model never learnt (`unseen_share`), and how far
    the shares of the templates have moved (`jensen_shannon`). Needs at least one window."""
    learnt = len(profile.vectors)
    ids = windows.events["template_id"].unique().to_list()
    vocabulary = [*profile.vocabulary, *sorted(set(ids) - set(profile.vocabulary))]
    vectors = sparse.csr_array(profile.vectors[:, : len(profile.vocabulary)])
    vectors.resize(learnt, len(vocabulary) + 1)
    vectors = sparse.vstack([vectors, windows.count_vectors(vocabulary)]).tocsr()
    vector_of = np.concatenate(
        [np.repeat(np.arange(learnt), profile.multiplicity), learnt + np.arange(len(windows))]
    )
    counts = _counts(vectors, vector_of)

    def beside_chance(divergence: Callable[[Ints, Ints], float]) -> Drift:
        def of_rows(rows: Ints) -> float:
            sample = _counts(vectors, vector_of[rows])
            return divergence(counts - sample, sample)

        return _beside_chance(of_rows, profile.size, len(windows))

    return beside_chance(unseen_share), beside_chance(jensen_shannon)


def score_drift(model: Model, windows: Windows) -> Drift:
    """How far the scores of windows have risen above those of normal ones (`population_stability`).
    Needs at least one window.

    Where no more windows than usual are among the oddest tenth it is zero: nobody suffers from
    that, and some detectors score all windows a little lower than those fitted on folds do.
    """
    normal = model.tail.sample
    pooled = np.concatenate([normal, model.detector.score(windows)])

    def of_rows(rows: Ints) -> float:
        reference, sample = np.delete(pooled, rows), pooled[rows]
        usual = np.quantile(reference, QUANTILES[0], method="inverted_cdf")
        has_risen = (sample > usual).mean() > (reference > usual).mean()
        return population_stability(reference, sample) if has_risen else 0.0

    return _beside_chance(of_rows, len(normal), len(windows))


def share_by_chance(share: float, cases: int) -> float:
    """What a share that is this one in the long run shows at most among so many cases, once in a
    thousand times excepted (binomial).

    >>> share_by_chance(0.5, cases=3), share_by_chance(0.5, cases=1000)
    (1.0, 0.549)
    """
    return float(binom.ppf(DRAWS / (DRAWS + 1), cases, share) / cases)


def _beside_chance(divergence: Callable[[Ints], float], reference: int, sample: int) -> Drift:
    """divergence: of the windows in these rows from all others; the last `sample` are the day's."""
    rng = np.random.default_rng(SEED)
    rows = reference + sample
    drawn = (rng.choice(rows, sample, replace=False, shuffle=False) for _ in range(DRAWS))
    return Drift(divergence(np.arange(reference, rows)), max(map(divergence, drawn)))


def _counts(vectors: sparse.csr_array, rows: Ints) -> Ints:
    """The sum of these vectors, shape (t,), a row as often as it is named."""
    summed: Ints = np.bincount(rows, minlength=vectors.shape[0]) @ vectors
    return summed


def _entropy(shares: Floats) -> float:
    positive = shares[shares > 0]
    return -float((positive * np.log2(positive)).sum())
