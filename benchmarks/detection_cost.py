"""What do the networks cost, next to the procedure that the DeepLog paper publishes.

    python -m benchmarks.detection_cost [--epochs N] [--sessions N]

On the split of the DeepLog paper, one thread each:

- DeepLog (Du et al., CCS 2017, with the settings of its public re-implementations): two layers of
  64 units read ten events and predict the eleventh; 300 epochs at batch 2,048; each of a session's
  events is judged by a prediction of its own, one window at a time, and is odd where it is not
  among the nine likeliest. Trained for `--epochs` of the 300 and asked of `--sessions` normal
  sessions, times what is left.
- `lstm` and `bert`: fitted as they are, once, and once more out of fold, which gives their
  thresholds; asked of all normal sessions, of which they judge each distinct one once.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import nn

from benchmarks.detection import read_sequences
from benchmarks.report import default_data, finish, table
from include.ingest.labelled import windows_of_sequences
from ml.families import create
from ml.model import Model

HISTORY, UNITS, LAYERS = 10, 64, 2
EPOCHS, BATCH, LIKELIEST = 300, 2048, 9
NETWORKS = ("lstm", "bert")

Session = Sequence[int]


class DeepLog(nn.Module):
    def __init__(self, templates: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, UNITS, LAYERS, batch_first=True)
        self.output = nn.Linear(UNITS, templates)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Event numbers, shape (b, HISTORY, 1), to logits of the next, (b, templates)."""
        states, _ = self.lstm(windows)
        logits: torch.Tensor = self.output(states[:, -1])
        return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=500)
    options = parser.parse_args()
    folder = options.data / "hdfs"
    train, test = (
        read_sequences(folder / f"deeplog_split_{part}.gz") for part in ("train", "test_normal")
    )
    normal = [*train, *test]
    print(f"{len(train):,} sessions train, {len(normal):,} are scored")
    torch.set_num_threads(1)
    rows = {"DeepLog, as published": deeplog(train, normal, options.epochs, options.sessions)}
    rows |= {name: ours(name, train, normal) for name in NETWORKS}
    published = rows["DeepLog, as published"]
    for name in NETWORKS:
        rows[name] |= {
            "times_faster_to_train": published["train_seconds"] / rows[name]["train_seconds"],
            "times_faster_to_score": published["score_seconds"] / rows[name]["score_seconds"],
        }
    columns = ["train_seconds", "with_threshold_seconds", "score_seconds"]
    table([*columns, "times_faster_to_train", "times_faster_to_score"], rows)
    lstm, bert = rows["lstm"], rows["bert"]
    ratios = {
        name: bert[f"{name}_seconds"] / lstm[f"{name}_seconds"] for name in ("train", "score")
    }
    print(f"bert takes {ratios['train']:.1f} times as long as lstm to train and ", end="")
    print(f"{ratios['score']:.1f} times as long to score")
    finish({"rows": rows, "bert_to_lstm": ratios})


def deeplog(
    train: list[tuple[str, ...]], normal: list[tuple[str, ...]], epochs: int, sessions: int
) -> dict[str, float]:
    """Seconds of the whole procedure, reckoned from a part of it."""
    numbers = {event: n for n, event in enumerate(sorted({e for each in train for e in each}))}
    torch.manual_seed(0)
    network = DeepLog(len(numbers) + 1)
    per_epoch = _train_seconds(network, [_numbered(each, numbers) for each in train], epochs)
    asked = random.Random(0).sample(normal, sessions)  # noqa: S311 (a sample, no secret)
    per_session = _score_seconds(network, [_numbered(each, numbers) for each in asked])
    return {
        "train_seconds": per_epoch * EPOCHS,
        "score_seconds": per_session * len(normal),
    }


def _numbered(session: tuple[str, ...], numbers: dict[str, int]) -> Session:
    """Filled up at the front, so that each session has an event to predict."""
    known = [numbers.get(event, len(numbers)) for event in session]
    return [len(numbers)] * max(0, HISTORY + 1 - len(known)) + known


def _train_seconds(network: DeepLog, sessions: list[Session], epochs: int) -> float:
    """Seconds of one epoch."""
    pairs = [
        (session[at - HISTORY : at], session[at])
        for session in sessions
        for at in range(HISTORY, len(session))
    ]
    windows = torch.tensor([pair[0] for pair in pairs], dtype=torch.float32).unsqueeze(-1)
    following = torch.tensor([pair[1] for pair in pairs])
    optimizer = torch.optim.Adam(network.parameters())
    started = perf_counter()
    for _ in range(epochs):
        for batch in torch.randperm(len(windows)).split(BATCH):
            loss = nn.functional.cross_entropy(network(windows[batch]), following[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return (perf_counter() - started) / epochs


@torch.inference_mode()
def _score_seconds(network: DeepLog, sessions: list[Session]) -> float:
    """Seconds of one session."""
    network.eval()
    started = perf_counter()
    odd = 0
    for session in sessions:
        for at in range(HISTORY, len(session)):
            window = torch.tensor(session[at - HISTORY : at], dtype=torch.float32)
            likeliest = network(window.view(1, HISTORY, 1)).topk(LIKELIEST).indices[0]
            odd += session[at] not in likeliest
    return (perf_counter() - started) / len(sessions)


def ours(
    name: str, train: list[tuple[str, ...]], normal: list[tuple[str, ...]]
) -> dict[str, float]:
    learnt, asked = windows_of_sequences(train), windows_of_sequences(normal)
    started = perf_counter()
    detector = create(name).fit(learnt)
    fitted = perf_counter()
    scores = detector.score(asked)
    scored = perf_counter()
    Model.train(name, learnt)
    trained = perf_counter()
    if not np.isfinite(scores).all():
        raise RuntimeError(f"{name}: not all scores are finite")
    return {
        "train_seconds": fitted - started,
        "with_threshold_seconds": trained - scored,
        "score_seconds": scored - fitted,
    }


if __name__ == "__main__":
    main()
