"""Isolation Forest on weighted count vectors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import skops.io
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from sklearn import ensemble

from ml.profile import NormalProfile, distinct_rows
from ml.windows import Windows

Floats = npt.NDArray[np.float64]
# What skops must be told is no threat: the trees of the forest.
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]


class IsolationForest:
    """How few random cuts separate a window's count vector from all others.

    Liu, Ting and Zhou, "Isolation Forest" (ICDM 2008), on log(1 + count) of each template,
    weighted by `NormalProfile.weights` so that rare templates are cut more widely; one more
    column counts events of unseen templates. The score is the paper's 2^(-E[depth] / c(n)),
    between 0 and 1, about 0.5 for the ordinary; a number outside its range adds to it (`Ranges`).

    trees: more give steadier ranks; past 200 they only cost time.
    sample: windows a tree sees; the paper's 256, since larger ones swamp small clusters.
    rarity: the power of the weights: zero leaves them out, more lets rare templates tell more.
    seed: forests are random; the same seed gives the same forest.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]] = {
        "sample": IntDistribution(32, 2048, log=True),
        "rarity": FloatDistribution(0.0, 3.0),
    }

    def __init__(
        self, trees: int = 200, sample: int = 256, rarity: float = 1.0, seed: int = 0
    ) -> None:
        self.trees = trees
        self.sample = sample
        self.rarity = rarity
        self.seed = seed

    def fit(self, windows: Windows) -> Self:
        self.profile_ = NormalProfile.fit(windows)
        self.forest_ = ensemble.IsolationForest(
            n_estimators=self.trees,
            max_samples=min(self.sample, len(windows)),
            random_state=self.seed,
        )
        self.forest_.fit(self._features(windows.count_vectors(self.profile_.vocabulary).toarray()))
        return self

    def score(self, windows: Windows) -> Floats:
        if not len(windows):
            return np.empty(0)
        vectors = windows.count_vectors(self.profile_.vocabulary).toarray()
        distinct, _, inverse = distinct_rows(vectors)
        scores: Floats = -self.forest_.score_samples(self._features(distinct))
        return self.profile_.ranges.added_to(scores[inverse], windows)

    def _features(self, vectors: npt.NDArray[np.int64]) -> Floats:
        weighted: Floats = np.log1p(vectors) * self.profile_.weights**self.rarity
        return weighted

    def save(self, folder: Path) -> None:
        self.profile_.save(folder)
        skops.io.dump(self.forest_, folder / "forest.skops")
        (folder / "forest.json").write_text(json.dumps({"rarity": self.rarity}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        forest = skops.io.load(folder / "forest.skops", trusted=TRUSTED_TYPES)
        detector = cls(
            trees=forest.n_estimators,
            sample=forest.max_samples,
            rarity=json.loads((folder / "forest.json").read_text())["rarity"],
            seed=forest.random_state,
        )
        detector.profile_ = NormalProfile.load(folder)
        detector.forest_ = forest
        return detector
