"""The masked-event model: what it sees, and how it reads the text of templates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import BertConfig, BertModel, BertTokenizer

from ml.checks import sessions
from ml.detectors.bert import Bert
from ml.detectors.words import text_vectors
from ml.windows import Windows

TEXTS = {
    "open": "opening block <*> for client <*>",
    "write": "writing packet <*> of block <*> to disk",
    "ack": "acknowledged packet <*>",
    "close": "closing file <*>",
    "rewrite": "writing packet <*> of block <*> to disk again",
    "failure": "kernel panic, machine check exception <*>",
}
USUAL = [
    ["open", "write", "ack", "write", "ack", "close"],
    ["open", "write", "write", "ack", "ack", "close"],
] * 60


def _windows(*sequences: list[str]) -> Windows:
    return replace(sessions(sequences), texts=TEXTS)


@pytest.fixture(scope="module")
def bert() -> Bert:
    return Bert().fit(_windows(*USUAL))


def _score(detector: Bert, *sequences: list[str]) -> list[float]:
    return [float(detector.score(_windows(each))[0]) for each in sequences]


@pytest.mark.parametrize(
    "odd",
    [
        ["open", "write", "ack", "write", "ack"],
        ["open", "write", "ack", "write", "close"],
        ["open", "write", "ack", "write", "ack", "failure", "close"],
        ["close", "write", "ack", "write", "ack", "open"],
    ],
    ids=["no end", "one ack less", "unseen", "reversed"],
)
def test_what_never_was_is_more_surprising_than_anything_usual(bert: Bert, odd: list[str]) -> None:
    assert _score(bert, odd)[0] > 2 * max(_score(bert, *USUAL[:2]))


def test_an_unseen_template_surprises_less_where_a_relative_would_be_usual(bert: Bert) -> None:
    relative, stranger = _score(
        bert,
        ["open", "write", "ack", "rewrite", "ack", "close"],
        ["open", "write", "ack", "failure", "ack", "close"],
    )
    assert relative < stranger / 1.5


def test_templates_of_like_wording_lie_near_each_other() -> None:
    write, rewrite, failure = text_vectors(["write", "rewrite", "failure"], TEXTS)
    assert write @ rewrite > 0.8
    assert abs(write @ failure) < 0.4


def test_a_pretrained_encoder_is_named_by_its_folder(tmp_path: Path) -> None:
    words = sorted({word for text in TEXTS.values() for word in text.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]))
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words) + 4, intermediate_size=16, **small)
    BertModel(config).save_pretrained(tmp_path)
    detector = Bert(encoder=str(tmp_path)).fit(_windows(*USUAL))
    usual, unseen = _score(detector, USUAL[0], [*USUAL[0][:-1], "failure", "close"])
    assert detector.vectors_.shape == (4, 16)
    assert unseen > usual
