"""One-class SVM on scaled count vectors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, FloatDistribution
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn import svm
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import SGDOneClassSVM

from ml.profile import LEAST_DEVIATION, NormalProfile, deviations, distinct_rows
from ml.windows import Windows

Floats = npt.NDArray[np.float64]

# Past so many distinct count vectors the exact machine takes longer to fit than random features do,
# and its time grows with the square of their number.
MOST_EXACT = 20_000
FEATURES = 1024
# Windows whose kernels or features are computed at a time: bounds memory.
BLOCK_ROWS = 1024


class OneClassSvm:
    """How far a window's count vector lies from the region that holds nearly all normal ones.

    Schölkopf et al., "Estimating the support of a high-dimensional distribution" (Neural
    Computation 13, 2001), with a Gaussian kernel, on log(1 + count) of each template, divided by
    its standard deviation over normal windows, so that a count that never varies tells most; one
    more column counts events of unseen templates. Each distinct vector is learnt once, with the
    weight 1 + log(windows that have it), so that what is frequent does not push all else out. The
    width of the kernel is a multiple of the total variance of the vectors.

    It takes what it is shown for normal: on windows that nobody has looked at, an anomaly that came
    before is in its region.

    The score is -log sum a_i k(x_i, x), which orders windows as the paper's decision function does
    but does not flatten far away. Past `most_exact` distinct vectors the kernel is approximated by
    `FEATURES` random features (Rahimi and Recht, NIPS 2007) and the score is the decision function
    of a linear machine, negated. A number outside its range adds to either (`Ranges`).

    nu: the share of the weight of normal vectors that may lie outside; twenty times as much or as
        little changes little.
    width: of the kernel, in total variances.
    most_exact: so many distinct vectors are learnt exactly.
    seed: of the random features.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]] = {
        "nu": FloatDistribution(0.001, 0.5, log=True),
        "width": FloatDistribution(0.05, 20.0, log=True),
    }

    def __init__(
        self, nu: float = 0.05, width: float = 1.0, most_exact: int = MOST_EXACT, seed: int = 0
    ) -> None:
        self.nu = nu
        self.width = width
        self.most_exact = most_exact
        self.seed = seed

    def fit(self, windows: Windows) -> Self:
        if not len(windows):
            raise ValueError("one_class_svm needs at least one window to fit on, got none")
        self.profile_ = NormalProfile.fit(windows)
        multiplicity = self.profile_.multiplicity
        scales = deviations(np.log1p(self.profile_.vectors), multiplicity)
        self.scales_ = 1 / (scales + LEAST_DEVIATION)
        vectors = self._scaled(self.profile_.vectors)
        weights = 1 + np.log(multiplicity)
        mean = np.average(vectors, axis=0, weights=weights)
        variance = float(np.average((vectors - mean) ** 2, axis=0, weights=weights).sum())
        # Vectors that are all alike have no width: any will do.
        self.gamma_ = 1 / (self.width * variance) if variance else 1.0
        is_exact = len(vectors) <= self.most_exact
        self.machine_ = (self._fit_exact if is_exact else self._fit_linear)(vectors, weights)
        return self

    def _fit_exact(self, vectors: Floats, weights: Floats) -> dict[str, Floats]:
        machine = svm.OneClassSVM(kernel="rbf", gamma=self.gamma_, nu=self.nu)
        machine.fit(vectors, sample_weight=weights)
        return {
            "support": machine.support_vectors_,
            "log_coefficients": np.log(machine.dual_coef_[0]),
        }

    def _fit_linear(self, vectors: Floats, weights: Floats) -> dict[str, Floats]:
        sampler = RBFSampler(gamma=self.gamma_, n_components=FEATURES, random_state=self.seed)
        sampler.fit(vectors[:1])
        directions, phases = sampler.random_weights_, sampler.random_offset_
        machine = SGDOneClassSVM(nu=self.nu, random_state=self.seed)
        machine.fit(_features(vectors, directions, phases), sample_weight=weights)
        return {
            "directions": directions,
            "phases": phases,
            "coefficients": machine.coef_,
            "offset": machine.offset_,
        }

    def score(self, windows: Windows) -> Floats:
        if not len(windows):
            return np.empty(0)
        counts = windows.count_vectors(self.profile_.vocabulary).toarray()
        distinct, _, inverse = distinct_rows(counts)
        vectors = self._scaled(distinct)
        scores = [
            self._score_block(vectors[start : start + BLOCK_ROWS])
            for start in range(0, len(vectors), BLOCK_ROWS)
        ]
        return self.profile_.ranges.added_to(np.concatenate(scores)[inverse], windows)

    def _score_block(self, vectors: Floats) -> Floats:
        machine = self.machine_
        if "support" in machine:
            exponents = -self.gamma_ * cdist(vectors, machine["support"], "sqeuclidean")
            scores: Floats = -logsumexp(exponents + machine["log_coefficients"], axis=1)
            return scores
        features = _features(vectors, machine["directions"], machine["phases"])
        return machine["offset"] - features @ machine["coefficients"]

    def _scaled(self, vectors: npt.NDArray[np.int64]) -> Floats:
        scaled: Floats = np.log1p(vectors) * self.scales_
        return scaled

    def save(self, folder: Path) -> None:
        self.profile_.save(folder)
        learnt = {"gamma": self.gamma_, "scales": self.scales_}
        arrays: dict[str, Any] = learnt | self.machine_
        np.savez_compressed(folder / "machine.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        detector = cls()
        detector.profile_ = NormalProfile.load(folder)
        with np.load(folder / "machine.npz", allow_pickle=False) as arrays:
            detector.machine_ = {name: arrays[name] for name in arrays}
        detector.gamma_ = float(detector.machine_.pop("gamma"))
        detector.scales_ = detector.machine_.pop("scales")
        return detector


def _features(vectors: Floats, directions: Floats, phases: Floats) -> Floats:
    features: Floats = np.cos(vectors @ directions + phases) * np.sqrt(2 / len(phases))
    return features
