from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from bebertlab.interfaces.task import Split
from bebertlab.train.tokens import Tokens, tokenize


@pytest.fixture
def words(tokenizer: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer / "tokenizer.json"))


def split_of(*texts: str, pairs: tuple[str, ...] | None = None) -> Split:
    ids = tuple(str(i) for i in range(len(texts)))
    return Split(ids=ids, texts=texts, pairs=pairs, labels=np.zeros(len(texts), dtype=np.int64))


def read(tokens: Tokens, words: Tokenizer, place: int) -> tuple[str, list[int]]:
    chosen = slice(tokens.offsets[place], tokens.offsets[place] + tokens.lengths[place])
    return " ".join(str(words.id_to_token(one)) for one in tokens.ids[chosen]), tokens.segments[chosen].tolist()


def test_examples_lie_one_after_the_other(words: Tokenizer) -> None:
    tokens = tokenize(words, split_of("the film", "good", "a poor plot"), 8)
    assert len(tokens) == 3
    assert tokens.lengths.tolist() == [4, 3, 5]
    assert read(tokens, words, 2) == ("[CLS] a poor plot [SEP]", [0, 0, 0, 0, 0])
    assert len(tokens.ids) == len(tokens.segments) == 12


def test_the_second_text_of_a_pair_has_its_own_segment(words: Tokenizer) -> None:
    tokens = tokenize(words, split_of("the film", pairs=("good",)), 8)
    assert read(tokens, words, 0) == ("[CLS] the film [SEP] good [SEP]", [0, 0, 0, 0, 1, 1])


def test_the_longer_text_of_a_pair_is_cut(words: Tokenizer) -> None:
    tokens = tokenize(words, split_of("the film was a good plot", pairs=("so bad",)), 8)
    assert read(tokens, words, 0)[0] == "[CLS] the film was [SEP] so bad [SEP]"


def test_the_callers_tokenizer_stays_as_it_is(words: Tokenizer) -> None:
    words.enable_padding(length=20)
    tokens = tokenize(words, split_of("the film"), 3)
    assert tokens.lengths.tolist() == [3]
    assert words.truncation is None
    assert words.padding is not None
