"""What stands between: a network that fills in hidden events from those around them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl
import torch
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from torch import nn
from transformers import BertConfig, BertModel

from ml.detectors.sequences import (
    LONGEST_PIECE,
    UNSEEN_SURPRISE,
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
from ml.detectors.words import Words, text_vectors
from ml.ranges import Ranges
from ml.windows import Windows

HIDDEN = 32
LAYERS = 1
HEADS = 2
MIXED = 128
MOST_STEPS = 1000
# The share of events that training hides, from so many to so many: about 15 %, as BERT's.
LEAST_HIDDEN, MOST_HIDDEN = 0.05, 0.3
# Judging hides every third event, three times over.
PASSES = 3
VOLUME_WEIGHT = 0.1


class Bert:
    """How surprising the events of a window are, each hidden from a network that sees the others.

    A masked-event model after LogBERT (Guo et al., IJCNN 2021), with its two tasks: fill in
    hidden events, and keep the states of the windows' first token close together (the volume of
    their hypersphere). What differs: an event is read by the text of its template; half of the
    windows are cut at a random place where the network says what comes there, an event or the end,
    since what is missing at the end leaves nothing to hide; the network is told how often each
    template is to be seen; and the score is the surprise of events less what is to be expected, as
    for `lstm`.

    An unseen template is as surprising as its nearest relative would be in its place, in the
    measure that their texts are alike, and else `UNSEEN_SURPRISE`.

    encoder: a pretrained encoder of texts, a folder or the name of one on a hub; the default
        hashes words and needs none.
    hidden: the size of the network's states. layers: of attention.
    volume_weight: of the second task.
    seed: networks start at random; the same seed gives the same network on the same machine.
    """

    SEARCH_SPACE: ClassVar[Mapping[str, BaseDistribution]] = {
        "hidden": IntDistribution(16, 64, step=16),
        "layers": IntDistribution(1, 2),
        "volume_weight": FloatDistribution(0.01, 1.0, log=True),
    }

    def __init__(
        self,
        encoder: str | None = None,
        hidden: int = HIDDEN,
        layers: int = LAYERS,
        volume_weight: float = VOLUME_WEIGHT,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.hidden = hidden
        self.layers = layers
        self.volume_weight = volume_weight
        self.seed = seed

    def fit(self, windows: Windows) -> Self:
        if not len(windows):
            raise ValueError("bert needs at least one window to fit on, got none")
        self.vocabulary_ = sorted(windows.events["template_id"].unique().to_list())
        self.ranges_ = Ranges.fit(windows)
        self.vectors_ = text_vectors(self.vocabulary_, windows.texts, self.encoder)
        self._hiding = torch.Generator().manual_seed(self.seed)
        with reproducible(self.seed):
            self.network_ = self._new_network().to(device())
            sequences = Sequences.of(windows, self.vocabulary_)
            rng = np.random.default_rng(self.seed)
            train(self.network_, sequences, self._loss, MOST_STEPS, rng)
        return self

    def _new_network(self) -> "HiddenEvents":
        templates, features = self.vectors_.shape
        return HiddenEvents(templates, features, self.hidden, self.layers)

    def score(self, windows: Windows) -> Floats:
        with reproducible():
            scores = scores_of_sequences(windows, self._score_distinct)
        return self.ranges_.added_to(scores, windows)

    def _score_distinct(self, windows: Windows) -> Floats:
        unseen = sorted(set(windows.events["template_id"].unique()) - set(self.vocabulary_))
        vectors = self.vectors_
        if unseen:
            new = text_vectors(unseen, windows.texts, self.encoder)
            vectors = np.concatenate([vectors, new])
        sequences = Sequences.of(windows, [*self.vocabulary_, *unseen])
        surprises = self._surprises(sequences, _Reading.of(vectors, len(self.vocabulary_)))
        return combined(surprises, sequences, len(vectors) + 1)

    def _loss(self, codes: torch.Tensor) -> torch.Tensor:
        known = len(self.vocabulary_)
        codes, lengths, places = _with_end(codes, known + 1)
        is_event = places < lengths
        share = LEAST_HIDDEN + (MOST_HIDDEN - LEAST_HIDDEN) * self._drawn(len(codes), 1)
        always = (self._drawn(len(codes), 1) * lengths).long()
        is_hidden = is_event & ((self._drawn(*codes.shape) < share) | (places == always))
        # Half of the windows end, as far as is to be seen, where the network says what comes.
        cut = (self._drawn(len(codes), 1) * (lengths + 1)).long()
        is_cut = self._drawn(len(codes), 1) < 0.5
        is_there = torch.where(is_cut, places <= cut, is_event)
        is_hidden = torch.where(is_cut, places == cut, is_hidden)
        logits, first = self.network_(codes, is_there, is_hidden, self._vectors())
        expected = torch.where(is_event, codes, known)[is_hidden]
        losses = nn.functional.cross_entropy(logits, expected, reduction="none")
        counts = is_hidden.sum(dim=1)
        rows = torch.arange(len(codes), device=codes.device).repeat_interleave(counts)
        filled_in = torch.zeros(len(codes), device=codes.device).index_add(0, rows, losses) / counts
        volume = ((first - first.mean(dim=0)) ** 2).mean(dim=1)
        loss: torch.Tensor = filled_in + self.volume_weight * volume
        return loss

    def _drawn(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=self._hiding).to(device())

    def _vectors(self) -> torch.Tensor:
        return torch.from_numpy(self.vectors_).to(device())

    @torch.inference_mode()
    def _surprises(self, sequences: Sequences, reading: "_Reading") -> Iterator[Surprises]:
        for pieces in sequences.batches():
            codes = torch.from_numpy(sequences.padded(pieces)).to(device())
            codes, lengths, places = _with_end(codes, sequences.padding)
            is_event = places < lengths
            kinds = torch.where(is_event, codes, len(reading.vectors))
            hidings = [is_event & (places % PASSES == turn) for turn in range(PASSES)]
            for is_hidden in (*hidings, places == lengths):
                logits, _ = self.network_(codes, is_event | is_hidden, is_hidden, reading.vectors)
                surprise = torch.zeros(codes.shape, dtype=torch.double, device=codes.device)
                surprise[is_hidden] = reading.surprise(logits.double(), kinds[is_hidden])
                yield pieces, kinds, surprise

    def save(self, folder: Path) -> None:
        chosen = {"encoder": self.encoder, "hidden": self.hidden, "layers": self.layers}
        learnt = {"chosen": chosen, "vocabulary": self.vocabulary_}
        (folder / "bert.json").write_text(json.dumps(learnt))
        np.savez_compressed(folder / "vectors.npz", vectors=self.vectors_)
        self.ranges_.table.write_parquet(folder / "ranges.parquet")
        write_network(self.network_, folder / "network.npz")

    @classmethod
    def load(cls, folder: Path) -> Self:
        learnt = json.loads((folder / "bert.json").read_text())
        detector = cls(**learnt["chosen"])
        detector.vocabulary_ = learnt["vocabulary"]
        with np.load(folder / "vectors.npz", allow_pickle=False) as arrays:
            detector.vectors_ = arrays["vectors"]
        detector.network_ = detector._new_network()
        detector.ranges_ = Ranges(pl.read_parquet(folder / "ranges.parquet"))
        read_network(detector.network_, folder / "network.npz")
        return detector


class HiddenEvents(nn.Module):
    """Logits of hidden events over `templates` + 1 outcomes, the last of them the end."""

    def __init__(self, templates: int, features: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.templates = templates
        self.words = nn.Linear(features, hidden)
        # In place of a hidden event, and before all events.
        self.hidden, self.first = (nn.Parameter(torch.randn(hidden)) for _ in range(2))
        config = BertConfig(
            vocab_size=1,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=HEADS,
            intermediate_size=2 * hidden,
            max_position_embeddings=LONGEST_PIECE + 2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        self.output = nn.Sequential(
            nn.Linear(hidden + templates + 2, MIXED), nn.ReLU(), nn.Linear(MIXED, templates + 1)
        )

    def forward(
        self,
        codes: torch.Tensor,
        is_there: torch.Tensor,
        is_hidden: torch.Tensor,
        vectors: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """codes: shape (b, n), rows of `vectors`, (k, features), the known templates first;
        is_there, is_hidden: (b, n), hidden events are there too.

        Returns the logits of the h hidden events, row after row, shape (h, templates + 1), and
        the state before all events, (b, hidden).
        """
        events = torch.where(is_hidden.unsqueeze(-1), self.hidden, self.words(vectors)[codes])
        read = torch.cat([self.first.expand(len(codes), 1, -1), events], dim=1)
        mask = nn.functional.pad(is_there, (1, 0), value=True).long()
        states = self.bert(inputs_embeds=read, attention_mask=mask).last_hidden_state
        kinds = nn.functional.one_hot(codes.clamp(max=self.templates), self.templates + 1)
        seen = (kinds * (is_there & ~is_hidden).unsqueeze(-1)).sum(dim=1)
        counts = torch.cat([seen, is_hidden.sum(dim=1, keepdim=True)], dim=1).float().log1p()
        rows = is_hidden.nonzero()[:, 0]
        mixed = torch.cat([states[:, 1:][is_hidden], counts[rows]], dim=-1)
        logits: torch.Tensor = self.output(mixed)
        return logits, states[:, 0]


@dataclass(frozen=True, slots=True)
class _Reading:
    """How templates read: the known ones, then the unseen.

    vectors: their texts, (k, features). outcomes: what each is to the network, (k + 1,): itself, or
    the known template nearest to it; the last is the end. likeness: how near, 0 to 1, (k + 1,).
    """

    vectors: torch.Tensor
    outcomes: torch.Tensor
    likeness: torch.Tensor

    @classmethod
    def of(cls, vectors: Words, known: int) -> "_Reading":
        alike = vectors[known:] @ vectors[:known].T
        outcomes = np.concatenate([np.arange(known), alike.argmax(axis=1), [known]])
        likeness = np.concatenate([np.ones(known), alike.max(axis=1).clip(0, 1), [1.0]])
        return cls(*(torch.from_numpy(each).to(device()) for each in (vectors, outcomes, likeness)))

    def surprise(self, logits: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """Less what is to be expected. logits: (h, known + 1), kinds: (h,); returns (h,)."""
        logs = torch.log_softmax(logits, dim=-1)
        of_outcome = -logs.gather(-1, self.outcomes[kinds].unsqueeze(-1)).squeeze(-1)
        likeness = self.likeness[kinds]
        surprise = likeness * of_outcome + (1 - likeness) * UNSEEN_SURPRISE
        return surprise + (logs.exp() * logs).sum(dim=-1)


def _with_end(codes: torch.Tensor, padding: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes with one place more, (b, n + 1), zero where there is no event; how many events there
    are, (b, 1); and the numbers of the places, (n + 1,)."""
    lengths = (codes != padding).sum(dim=1, keepdim=True)
    codes = nn.functional.pad(codes, (0, 1), value=padding)
    places = torch.arange(codes.shape[1], device=codes.device)
    return torch.where(codes == padding, 0, codes), lengths, places
