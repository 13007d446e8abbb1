"""What several detectors say together, the cheap ones asked first."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution
from sklearn.metrics import average_precision_score

from ml.detectors import Detector, Floats, out_of_fold_scores
from ml.families import create, family
from ml.tails import Tail
from ml.windows import Windows

Bools = npt.NDArray[np.bool_]

# Asked of every window; all others only where these have not settled it.
CHEAP = ("novelty", "isolation_forest", "one_class_svm")
# Learn what they are shown, so they are of use where that is normal,
OF_NORMAL = ("novelty", "one_class_svm", "lstm")
# and these also where some of it may not be.
OF_ANYTHING = ("novelty", "isolation_forest")
# With fewer windows networks know them by heart, and their tails say nothing.
LEAST_FOR_NETWORKS = 200
# The most surprised member leads, and the others break ties.
SHARE_OF_MEAN = 0.1
# Fewer known anomalies say too little of who finds them.
LEAST_KNOWN = 10
WEIGHTS = (0.25, 0.5, 1.0)
# Weights other than equal ones must gain so much average precision.
LEAST_GAIN = 0.01

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A detector, and the tail of its scores of normal windows it was not fitted on."""

    detector: Detector
    tail: Tail


@dataclass(frozen=True, slots=True)
class Stage:
    """What some members were asked: of so many windows and events, in so many seconds. settled:
    windows that need no further stage."""

    members: tuple[str, ...]
    windows: int
    events: int
    seconds: float
    settled: int


class Ensemble:
    """How surprised the most surprised of several detectors is, each by its own measure.

    The score of each member becomes a surprise (`Tail`, -log10 of a tail probability, by its
    out-of-fold scores of normal windows), so that all speak in one unit and no labels are needed.
    They see different things: one an order of events, another a count. So the highest surprise
    leads, and a share of the mean of all breaks ties.

    It is a cascade: `lstm` and `bert` are asked only of windows that are less odd to the cheap
    members than the oddest normal window was to all together. What is odder is an anomaly whatever
    else is said.

    members: families; by default `OF_NORMAL` where all windows it is fitted on are normal, without
        networks where there are fewer than `LEAST_FOR_NETWORKS` windows, and `OF_ANYTHING` where
        some may not be: what other families are shown once they take for normal.
    anomalous: how many of the windows it is fitted on may be anomalous.
    odd: known anomalies, none of them among the windows it is fitted on. `LEAST_KNOWN` or more
        teach weights, by which surprises are multiplied: those with the highest average precision
        over these and the out-of-fold surprises of normal windows.
    share_of_mean: of the mean in the score.
    seed: of all members.
    """

    # Few values: what a trial costs is the fit of the members, which these do not change.
    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]] = {
        "share_of_mean": CategoricalDistribution([0.0, SHARE_OF_MEAN, 0.5]),
    }

    def __init__(
        self,
        members: Sequence[str] | None = None,
        anomalous: int = 0,
        odd: Windows | None = None,
        share_of_mean: float = SHARE_OF_MEAN,
        seed: int = 0,
    ) -> None:
        self.members = members
        self.share_of_mean = share_of_mean
        self.anomalous = anomalous
        self.odd = odd
        self.seed = seed

    def fit(self, windows: Windows) -> Self:
        if not len(windows):
            raise ValueError("ensemble needs at least one window to fit on, got none")
        self.members_: dict[str, Member] = {}
        normal = []
        for name in self.names_for(len(windows)):
            log.info("%s: %d windows", name, len(windows))
            new = partial(create, name, anomalous=self.anomalous, seed=self.seed)
            detector = new().fit(windows)
            scores = (
                out_of_fold_scores(new, windows) if len(windows) > 1 else detector.score(windows)
            )
            self.members_[name] = Member(detector, Tail(scores))
            normal.append(self.members_[name].tail.surprise(scores))
        surprises = np.array(normal)
        self.weights_ = np.ones(len(surprises))
        if self.odd is not None and len(self.odd) >= LEAST_KNOWN:
            odd = np.array([self._surprise(name, self.odd) for name in self.members_])
            self.weights_ = learnt_weights(surprises, odd, self.share_of_mean)
        self.normal_scores_ = together(surprises * self.weights_[:, None], self.share_of_mean)
        self.settled_above_ = float(self.normal_scores_.max())
        return self

    def names_for(self, windows: int) -> tuple[str, ...]:
        """The members where so many windows are there to learn from."""
        if self.members:
            return tuple(self.members)
        names = OF_ANYTHING if self.anomalous else OF_NORMAL
        return tuple(name for name in names if name in CHEAP or windows >= LEAST_FOR_NETWORKS)

    def score(self, windows: Windows) -> Floats:
        """The surprise of each window, shape (n,)."""
        return self.staged(windows)[0]

    def staged(self, windows: Windows) -> tuple[Floats, list[Stage]]:
        """The scores, shape (n,), and what each stage of the cascade did."""
        surprises = np.full((len(self.members_), len(windows)), np.nan)
        is_open = np.ones(len(windows), dtype=np.bool_)
        stages = []
        for rows in self._stages():
            started = perf_counter()
            names = [list(self.members_)[row] for row in rows]
            asked = windows.where(is_open)
            for row, name in zip(rows, names, strict=True):
                surprises[row, is_open] = self.weights_[row] * self._surprise(name, asked)
            scores = together(surprises, self.share_of_mean)
            is_settled = is_open & (scores > self.settled_above_)
            stage = Stage(
                tuple(names),
                len(asked),
                len(asked.events),
                perf_counter() - started,
                int(is_settled.sum()),
            )
            log.info(
                "%s: %d windows in %.1f s, %d settled",
                ", ".join(names),
                stage.windows,
                stage.seconds,
                stage.settled,
            )
            stages.append(stage)
            is_open &= ~is_settled
        return scores, stages

    def _stages(self) -> Iterator[list[int]]:
        """The numbers of the members of each stage that has any."""
        for is_cheap in (True, False):
            rows = [row for row, name in enumerate(self.members_) if (name in CHEAP) == is_cheap]
            if rows:
                yield rows

    def _surprise(self, name: str, windows: Windows) -> Floats:
        member = self.members_[name]
        return member.tail.surprise(member.detector.score(windows))

    def save(self, folder: Path) -> None:
        for name, member in self.members_.items():
            (folder / name).mkdir()
            member.detector.save(folder / name)
        tails = {name: member.tail.sample for name, member in self.members_.items()}
        np.savez_compressed(folder / "tails.npz", allow_pickle=False, **tails)
        learnt = {
            "share_of_mean": self.share_of_mean,
            "weights": self.weights_.tolist(),
            "settled_above": self.settled_above_,
        }
        (folder / "ensemble.json").write_text(json.dumps(learnt))

    @classmethod
    def load(cls, folder: Path) -> Self:
        learnt = json.loads((folder / "ensemble.json").read_text())
        detector = cls(share_of_mean=learnt["share_of_mean"])
        detector.weights_ = np.array(learnt["weights"])
        detector.settled_above_ = learnt["settled_above"]
        with np.load(folder / "tails.npz", allow_pickle=False) as tails:
            detector.members_ = {
                name: Member(family(name).load(folder / name), Tail(tails[name])) for name in tails
            }
        return detector


def together(surprises: Floats, share_of_mean: float = SHARE_OF_MEAN) -> Floats:
    """One score a window, shape (n,), out of the surprises of the members, shape (members, n), NaN
    where a member was not asked."""
    mean, most = np.nanmean(surprises, axis=0), np.nanmax(surprises, axis=0)
    combined: Floats = (1 - share_of_mean) * most + share_of_mean * mean
    return combined


def learnt_weights(normal: Floats, odd: Floats, share_of_mean: float = SHARE_OF_MEAN) -> Floats:
    """The weights of the members under which known anomalies rank highest above normal windows,
    shape (members,).

    normal, odd: surprises, shape (members, n) and (members, k), by members that were fitted on none
    of these windows. Of weights that rank equally well the most equal ones are taken.
    """
    members = len(normal)
    surprises = np.concatenate([normal, odd], axis=1)
    is_odd = np.arange(surprises.shape[1]) >= normal.shape[1]
    best, gained = np.ones(members), LEAST_GAIN

    def ranked(weights: Floats) -> float:
        weighed = together(surprises * weights[:, None], share_of_mean)
        return float(average_precision_score(is_odd, weighed))

    equal = ranked(np.ones(members))
    for weights in sorted(product(WEIGHTS, repeat=members), key=lambda each: -sum(each)):
        if max(weights) < 1:
            continue
        tried = np.array(weights)
        gain = ranked(tried) - equal
        if gain > gained:
            best, gained = tried, gain
    return best
