"""What the text of a template says, as a vector: templates of like wording lie near each other."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.feature_extraction.text import HashingVectorizer

Words = npt.NDArray[np.float32]

HASHED_WORDS = 256
WORD = re.compile(r"[^\W\d_]+")


def text_vectors(
    template_ids: Sequence[str], texts: Mapping[str, str], encoder: str | None = None
) -> Words:
    """A vector of length one for each template, shape (len(template_ids), words or hidden units).

    By default its words, hashed to `HASHED_WORDS` places. A template without a text, or without a
    word in it, is a word of its own.

    encoder: a pretrained model in its place, a folder or the name of one on a hub; its last layer
        is averaged over the text.
    """
    lines = [texts.get(each) or each for each in template_ids]
    if encoder:
        return _encoded(lines, encoder)
    hashing = HashingVectorizer(n_features=HASHED_WORDS, analyzer=_words, alternate_sign=True)
    vectors: Words = hashing.transform(lines).toarray().astype(np.float32)
    return vectors


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower()) if " " in text else [text]


@torch.inference_mode()
def _encoded(lines: list[str], encoder: str) -> Words:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModel.from_pretrained(encoder).eval()
    tokens = tokenizer(lines, padding=True, truncation=True, return_tensors="pt")
    states = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    mean = (states * mask).sum(1) / mask.sum(1)
    vectors: Words = torch.nn.functional.normalize(mean, dim=1).numpy()
    return vectors
