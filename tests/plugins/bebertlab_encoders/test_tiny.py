from __future__ import annotations

import random

import torch
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.model.bert import BertClassifier
from bebertlab_encoders.tiny import SPECIAL, TinyEncoder, vocabulary_of

SENTENCES = ["The cats run.", "the dog runs", "a Dog, a cat"]
TEXTS = ["the cats run", "a dog runs"]


def test_the_tokenizer_is_a_wordpiece_tokenizer_with_all_words() -> None:
    tokenizer = TinyEncoder().tokenizer(TEXTS)
    assert len(tokenizer) > 20  # the trap: a vocabulary of the five special tokens, without a warning
    ids = tokenizer("The cats run", "a dog")
    assert tokenizer.convert_ids_to_tokens(ids["input_ids"]) == [
        "[CLS]", "the", "cats", "run", "[SEP]", "a", "dog", "[SEP]",
    ]  # fmt: skip
    assert ids["token_type_ids"] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert tokenizer.tokenize("dogs sad") == ["dog", "##s", "s", "##a", "##d"]


def test_only_the_most_frequent_words_become_tokens() -> None:
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


def test_weights_depend_on_the_seed() -> None:
    encoder = TinyEncoder()
    first, again, other = (encoder.checkpoint(30, 2, seed).tensors for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_initial_weights_have_the_configured_standard_deviation() -> None:
    narrow, wide = (
        evolve(TinyEncoder(), spread=spread).checkpoint(30, 2, 0).tensors["bert.pooler.dense.weight"]
        for spread in (0.02, 0.2)
    )
    torch.testing.assert_close(wide, 10 * narrow)


def test_a_model_can_be_built_from_the_checkpoint() -> None:
    BertClassifier.from_checkpoint(TinyEncoder().checkpoint(30, 2, 0))
    assert TinyEncoder().digest() == ""


def test_special_tokens_come_first_and_ids_are_contiguous() -> None:
    vocabulary = vocabulary_of(SENTENCES, words=10)
    assert tuple(vocabulary)[:5] == SPECIAL
    assert list(vocabulary.values()) == list(range(len(vocabulary)))


def test_words_are_ordered_by_frequency_then_alphabet() -> None:
    words = [token for token in vocabulary_of(SENTENCES, words=4) if token.isalpha() and len(token) > 1]
    assert words == ["dog", "the", "cat", "cats"]  # 2, 2, then 1 each in alphabetical order


def test_characters_are_tokens_at_the_start_and_inside_of_words() -> None:
    vocabulary = vocabulary_of(["Éa b."], words=0)
    assert [*vocabulary][5:] == [".", "a", "b", "e", "##.", "##a", "##b", "##e"]


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.text(max_size=12), max_size=6), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_vocabulary_does_not_depend_on_the_order_of_the_texts(
    texts: list[str], words: int, shuffler: random.Random
) -> None:
    shuffled = shuffler.sample(texts, len(texts))
    assert vocabulary_of(texts, words) == vocabulary_of(shuffled, words)
