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


def test_what_loses_its_end_is_counted_and_other_examples_stay_as_they_are(words: Tokenizer) -> None:
    texts = ("the film was a good plot", "good", "a poor plot", "so bad a film the")
    tokens = tokenize(words, split_of(*texts), 6)
    assert tokens.truncated == 2
    assert [read(tokens, words, place)[0] for place in range(4)] == [
        "[CLS] the film was a [SEP]",
        "[CLS] good [SEP]",
        "[CLS] a poor plot [SEP]",
        "[CLS] so bad a film [SEP]",
    ]
    assert tokenize(words, split_of(*texts), 8).truncated == 0
    assert tokenize(words, split_of(*texts, pairs=("bad", "the film", "", "so")), 8).truncated == 2


def test_an_empty_second_text_is_an_ordinary_input(words: Tokenizer) -> None:
    tokens = tokenize(words, split_of("the film", pairs=("",)), 8)
    assert read(tokens, words, 0) == ("[CLS] the film [SEP] [SEP]", [0, 0, 0, 0, 1])


def test_the_callers_tokenizer_stays_as_it_is(words: Tokenizer) -> None:
    words.enable_padding(length=20)
    tokens = tokenize(words, split_of("the film"), 3)
    assert tokens.lengths.tolist() == [3]
    assert words.truncation is None
    assert words.padding is not None
