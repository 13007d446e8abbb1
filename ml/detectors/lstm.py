"""What comes next: a network that predicts each event from those before it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl
import torch
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from torch import nn

from ml.detectors.sequences import (
    UNSEEN_SURPRISE,
    WEIGHT_OF_MIXED,
    Floats,
    Sequences,
    Surprises,
    combined,
    device,
    read_network,
    reproducible,
    scores_of_sequences,
    train,
    write_network,
)
from ml.ranges import Ranges
from ml.windows import Windows

EMBEDDING = 32
HIDDEN = 64
MIXED = 128
MOST_STEPS = 500


class Lstm:
    """How surprising the events of a window are, each after those before it.

    A next-event model after DeepLog (Du et al., CCS 2017), which reads a whole session from its
    start to its end instead of ten events at a time, and knows how often each template came so
    far: sessions are odd more often by a count than by an order. Where DeepLog asks whether an
    event is among the g likeliest, this takes its surprise, -log p, less what is to be expected
    at that place (the entropy): where much may follow, nothing surprises.

    hidden: the size of the network's memory.
    most_steps: of training, which stops earlier where nothing is gained.
    weight_of_mixed: of sequences whose events are mixed (`sequences.train`), beside those in order.
    seed: networks start at random; the same seed gives the same network on the same machine.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]] = {
        "hidden": IntDistribution(32, 128, step=32),
        "most_steps": IntDistribution(250, 1000, step=250),
        "weight_of_mixed": FloatDistribution(0.0, 1.0),
    }

    def __init__(
        self,
        hidden: int = HIDDEN,
        most_steps: int = MOST_STEPS,
        weight_of_mixed: float = WEIGHT_OF_MIXED,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.most_steps = most_steps
        self.weight_of_mixed = weight_of_mixed
        self.seed = seed

    def fit(self, windows: Windows) -> Self:
        if not len(windows):
            raise ValueError("lstm needs at least one window to fit on, got none")
        self.vocabulary_ = sorted(windows.events["template_id"].unique().to_list())
        self.ranges_ = Ranges.fit(windows)
        with reproducible(self.seed):
            self.network_ = NextEvent(len(self.vocabulary_), self.hidden).to(device())
            sequences = Sequences.of(windows, self.vocabulary_)
            rng = np.random.default_rng(self.seed)
            most, mixed = self.most_steps, self.weight_of_mixed
            train(self.network_, sequences, self._loss, most, rng, mixed)
        return self

    def score(self, windows: Windows) -> Floats:
        with reproducible():
            scores = scores_of_sequences(windows, self._score_distinct)
        return self.ranges_.added_to(scores, windows)

    def _score_distinct(self, windows: Windows) -> Floats:
        sequences = Sequences.of(windows, self.vocabulary_)
        return combined(self._surprises(sequences), sequences, len(self.vocabulary_) + 2)

    def _loss(self, codes: torch.Tensor) -> torch.Tensor:
        following, is_event = _following(codes, len(self.vocabulary_))
        logits = self.network_(codes)
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), following, reduction="none")
        return (losses * is_event).sum(1) / is_event.sum(1)

    @torch.inference_mode()
    def _surprises(self, sequences: Sequences) -> Iterator[Surprises]:
        unseen = len(self.vocabulary_)
        for pieces in sequences.batches():
            codes = torch.from_numpy(sequences.padded(pieces)).to(device())
            following, is_event = _following(codes, unseen)
            logs = torch.log_softmax(self.network_(codes).double(), dim=-1)
            surprise = -logs.gather(-1, following.unsqueeze(-1)).squeeze(-1)
            surprise = surprise.masked_fill(following == unseen, UNSEEN_SURPRISE)
            excess = surprise + (logs.exp() * logs).sum(dim=-1)
            yield pieces, following, excess * is_event

    def save(self, folder: Path) -> None:
        learnt = {"hidden": self.hidden, "vocabulary": self.vocabulary_}
        (folder / "lstm.json").write_text(json.dumps(learnt))
        self.ranges_.table.write_parquet(folder / "ranges.parquet")
        write_network(self.network_, folder / "network.npz")

    @classmethod
    def load(cls, folder: Path) -> Self:
        learnt = json.loads((folder / "lstm.json").read_text())
        detector = cls(hidden=learnt["hidden"])
        detector.vocabulary_ = learnt["vocabulary"]
        detector.network_ = NextEvent(len(detector.vocabulary_), detector.hidden)
        detector.ranges_ = Ranges(pl.read_parquet(folder / "ranges.parquet"))
        read_network(detector.network_, folder / "network.npz")
        return detector


class NextEvent(nn.Module):
    """Logits of what follows each event, and of what comes first, over `templates` + 2 outcomes:
    the templates, a template outside the vocabulary, and the end."""

    def __init__(self, templates: int, hidden: int) -> None:
        super().__init__()
        self.kinds = templates + 1
        # The two more: padding, and the start.
        self.embedding = nn.Embedding(self.kinds + 2, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, hidden, batch_first=True)
        self.output = nn.Sequential(
            nn.Linear(hidden + self.kinds, MIXED), nn.ReLU(), nn.Linear(MIXED, templates + 2)
        )

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """codes: shape (b, n). Returns shape (b, n + 1, templates + 2)."""
        start = torch.full_like(codes[:, :1], self.kinds + 1)
        read = torch.cat([start, codes], dim=1)
        states, _ = self.lstm(self.embedding(read))
        so_far = nn.functional.one_hot(read, self.kinds + 2)[..., : self.kinds].cumsum(dim=1)
        logits: torch.Tensor = self.output(torch.cat([states, so_far.float().log1p()], dim=-1))
        return logits


def _following(codes: torch.Tensor, templates: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What follows, shape (b, n + 1), the end included, and where there is anything to follow."""
    end = templates + 1
    following = nn.functional.pad(codes, (0, 1), value=end)
    lengths = (codes != end).sum(dim=1, keepdim=True)
    return following, torch.arange(following.shape[1], device=codes.device) <= lengths
