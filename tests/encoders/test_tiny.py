from __future__ import annotations

import torch
from attrs import evolve

from bebertlab.encoders.tiny import TinyEncoder
from bebertlab.model.bert import BertClassifier

TEXTS = ["the cats run", "a dog runs"]


def test_the_tokenizer_is_a_real_one_and_knows_the_words() -> None:
    tokenizer = TinyEncoder().tokenizer(TEXTS)
    assert len(tokenizer) > 20  # the trap: a vocabulary of the five special tokens, without a word of warning
    ids = tokenizer("The cats run", "a dog")
    assert tokenizer.convert_ids_to_tokens(ids["input_ids"]) == [
        "[CLS]", "the", "cats", "run", "[SEP]", "a", "dog", "[SEP]",
    ]  # fmt: skip
    assert ids["token_type_ids"] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert tokenizer.tokenize("dogs sad") == ["dog", "##s", "s", "##a", "##d"]


def test_only_the_most_frequent_words_get_a_token() -> None:
    tokenizer = TinyEncoder(words=1).tokenizer([*TEXTS, "a dog"])
    assert tokenizer.tokenize("dog cat") == ["dog", "c", "##a", "##t"]


def test_the_tokenizer_of_the_same_texts_is_the_same() -> None:
    first, second = (TinyEncoder().tokenizer(texts) for texts in (TEXTS, TEXTS[::-1]))
    assert first.get_vocab() == second.get_vocab()


def test_the_checkpoint_has_the_sizes_of_the_options() -> None:
    encoder = TinyEncoder(layers=1, hidden=12, heads=3, head_size=2, ffn=20, maximum_tokens=9, dropout=0.2)
    sizes = encoder.checkpoint(vocabulary=30, classes=1, seed=0).architecture
    assert (sizes.vocabulary, sizes.positions, sizes.classes, sizes.layers) == (30, 9, 1, 1)
    assert (sizes.hidden, sizes.heads, sizes.head_size, sizes.ffn) == (12, 3, 2, 20)
    assert (sizes.dropout, sizes.attention_dropout) == (0.2, 0.2)


def test_the_seed_decides_the_weights() -> None:
    encoder = TinyEncoder()
    first, again, other = (encoder.checkpoint(30, 2, seed).tensors for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_the_spread_is_that_of_the_first_weights() -> None:
    narrow, wide = (
        evolve(TinyEncoder(), spread=spread).checkpoint(30, 2, 0).tensors["bert.pooler.dense.weight"]
        for spread in (0.02, 0.2)
    )
    torch.testing.assert_close(wide, 10 * narrow)


def test_the_checkpoint_makes_a_model() -> None:
    BertClassifier.from_checkpoint(TinyEncoder().checkpoint(30, 2, 0))
    assert TinyEncoder().digest() == ""
