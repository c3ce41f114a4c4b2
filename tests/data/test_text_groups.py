from __future__ import annotations

import pytest

from bebertlab.data.text_groups import PhraseIndex, examples_of, text_groups, whole_texts, words_of


def groups(*texts: str, pairs: tuple[str, ...] | None = None, **options: object) -> list[set[str]]:
    """The texts of each group, in order of their first rows."""
    groups = text_groups(examples_of(texts, pairs), **options)  # type: ignore[arg-type]  # options by name
    by_name: dict[str, set[str]] = {}
    for name, text in zip(groups.names, texts, strict=True):
        by_name.setdefault(name, set()).add(text)
    return list(by_name.values())


def test_case_spaces_and_punctuation_are_ignored() -> None:
    assert words_of("  The  Film, it 's GOOD !") == words_of("the film it's good")
    assert words_of("\u2126 ﬁlm") == ("ω", "film")
    assert words_of("?!") == ("?!",)
    assert words_of(" ") == ()


def test_phrases_are_matched_as_whole_words() -> None:
    index = PhraseIndex(
        [("a", "b"), ("b",), ("b", "c", "d", "e"), ("x", "y", "z"), ("a", "b", "c", "d", "e"), ("e", "f")]
    )
    phrases = set(index.contained(("a", "b", "c", "d", "e")))
    assert phrases == {("a", "b"), ("b",), ("b", "c", "d", "e"), ("a", "b", "c", "d", "e")}
    assert list(index.contained(())) == []


def test_a_phrase_belongs_to_the_longest_text_that_contains_it() -> None:
    long, middle, short = ("a", "b", "c", "d"), ("b", "c", "d"), ("c",)
    assert whole_texts([middle, short, long]) == {middle: {long}, short: {long}}


def test_phrases_of_one_sentence_are_one_group() -> None:
    assert groups("a gripping film", "gripping", "a dull and endless plot", "a dull", "Dull and endless") == [
        {"a gripping film", "gripping"},
        {"a dull and endless plot", "a dull", "Dull and endless"},
    ]


def test_short_phrases_connect_no_sentences_and_longer_ones_do() -> None:
    sentences = ("one of the best films of the year", "this is one of the best")
    assert len(groups(*sentences, "best")) == 3
    assert len(groups(*sentences, "of the best")) == 1
    common = text_groups(examples_of([*sentences, "best", "films"])).common
    assert common.tolist() == [False, False, True, False]


def test_words_are_compared_whole() -> None:
    assert len(groups("a partial success of sorts", "art")) == 2


@pytest.mark.parametrize(
    ("texts", "pairs", "count"),
    [
        (("q1", "q1", "q3"), ("a", "b", "c"), 2),  # a first text twice
        (("q1", "q2", "q3"), ("a", "A .", "c"), 2),  # a second text twice
        (("q1", "a", "q3"), ("a", "q1", "c"), 2),  # the other way round
        (("q1", "a", "b"), ("a", "b", "c"), 1),  # a chain
        (("q1", "q2", "q3"), ("", "", "c"), 3),  # empty texts are not shared
        (("a long film", "film"), ("b", "c"), 2),  # phrases of pairs are not shared texts
    ],
)
def test_pairs_that_share_a_text_are_one_group(texts: tuple[str, ...], pairs: tuple[str, ...], count: int) -> None:
    assert len(set(text_groups(examples_of(texts, pairs)).names)) == count


def test_group_names_do_not_depend_on_the_order() -> None:
    texts = ["a gripping film", "gripping", "dull", "a dull and endless plot", "a film of 1999"]
    item, other = text_groups(examples_of(texts)).names, text_groups(examples_of(texts[::-1])).names
    assert item == other[::-1]


def test_given_groups_are_kept_together_with_what_shares_a_text() -> None:
    texts = ["a gripping film", "gripping", "dull", "something else", "another thing"]
    groups = text_groups(examples_of(texts), given=["x", "y", "z", "y", "w"])
    assert groups.names[0] == groups.names[1] == groups.names[3]
    assert len(set(groups.names)) == 3
    assert not groups.common.any()


def test_texts_of_too_many_examples_connect_no_groups() -> None:
    prompts = tuple(f"text {i}" for i in range(6))
    assert len(groups(*prompts, pairs=("is it good?",) * 6)) == 1
    assert len(groups(*prompts, pairs=("is it good?",) * 6, most=5)) == 6
    sentences = tuple(f"it is what it is {i}" for i in range(6))
    assert len(groups(*sentences, "it is what it is")) == 1
    assert len(groups(*sentences, "it is what it is", most=5)) == 7
