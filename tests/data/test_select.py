"""Examples of `select` are never trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.data.select import split_off_select
from bebertlab.data.text_groups import words_of
from bebertlab.errors import UserError
from bebertlab.interfaces.task import Split


def _split(
    texts: list[str], labels: list[float], pairs: list[str] | None = None, groups: list[str] | None = None
) -> Split:
    kind = np.int64 if all(isinstance(label, int) for label in labels) else np.float32
    return Split(
        ids=tuple(map(str, range(len(texts)))),
        texts=tuple(texts),
        pairs=None if pairs is None else tuple(pairs),
        labels=np.array(labels, kind),
        groups=None if groups is None else tuple(groups),
    )


def _phrases(sentences: int) -> Split:
    """Every sentence with some of its phrases, as in SST-2; `good` and `bad` occur in many."""
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for number in range(sentences):
        words = [f"w{number}x{index}" for index in range(rng.integers(4, 9))]
        label = int(rng.integers(2))
        words.insert(int(rng.integers(len(words))), ("bad", "good")[label])
        cuts = [sorted(rng.integers(0, len(words) + 1, 2)) for _ in range(5)]
        phrases = {" ".join(words), ("bad", "good")[label], *(" ".join(words[a:b]) for a, b in cuts if b > a)}
        texts += sorted(phrases)
        labels += [label] * len(phrases)
    order = rng.permutation(len(texts))
    return _split([texts[i] for i in order], [labels[i] for i in order])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 1)), min_size=2, max_size=60), st.data())
def test_train_and_select_share_no_text_and_no_row_is_lost(rows: list[tuple[str, int]], data: st.DataObject) -> None:
    if len({text for text, _ in rows}) < 2:
        return
    whole = _split([text for text, _ in rows], [label for _, label in rows])
    train, select = split_off_select(whole, fraction=data.draw(st.floats(0.01, 0.4)), most=100)
    assert sorted(map(int, [*train.ids, *select.ids])) == list(range(len(rows)))
    assert set(train.texts).isdisjoint(select.texts)
    assert len(select) >= 1


def test_phrases_of_a_select_sentence_are_excluded_from_training() -> None:
    whole = _phrases(300)
    train, select = split_off_select(whole, fraction=0.1, most=2000)
    assert len(select) == pytest.approx(len(whole) / 10, abs=2)
    assert abs(select.labels.mean() - whole.labels.mean()) < 0.02
    assert set(train.groups or ()).isdisjoint(select.groups or ("",))
    sentences = [f" {text} " for text in select.texts]
    left = {text for text in train.texts if any(f" {text} " in sentence for sentence in sentences)}
    assert left <= {"good", "bad"}
    trained = [f" {text} " for text in train.texts]
    assert not [text for text in select.texts if any(f" {text} " in sentence for sentence in trained)]


def test_pairs_that_share_a_text_stay_in_one_split() -> None:
    rng = np.random.default_rng(1)
    questions = [f"question {i}" for i in rng.integers(0, 400, 500)]
    answers = [f"sentence {i}" for i in rng.integers(0, 2000, 500)]
    train, select = split_off_select(
        _split(questions, rng.integers(0, 2, 500).tolist(), answers), fraction=0.1, most=90
    )
    assert len(select) == 50
    texts = [{words_of(text) for text in (*split.texts, *(split.pairs or ()))} for split in (train, select)]
    assert texts[0].isdisjoint(texts[1])


def test_a_group_of_nearly_all_examples_is_trained_on() -> None:
    questions = ["the same"] * 80 + [f"another {i}" for i in range(20)]
    pairs = [f"sentence {i}" for i in range(100)]
    train, select = split_off_select(_split(questions, [i % 2 for i in range(100)], pairs), fraction=0.1, most=90)
    assert len(select) == 10
    assert "the same" not in select.texts
    assert len(train) == 90


def test_a_text_that_all_pairs_share_connects_no_groups() -> None:
    texts = [f"text {i}" for i in range(100)]
    train, select = split_off_select(_split(texts, [0, 1] * 50, ["is it good?"] * 100), fraction=0.1, most=90)
    assert (len(train), len(select)) == (90, 10)


def test_examples_without_frequent_texts_are_taken_first() -> None:
    texts = [f"text {i}" for i in range(100)]
    pairs = ["is it good?"] * 95 + [f"is it {i}?" for i in range(5)]
    _, select = split_off_select(_split(texts, [0, 1] * 50, pairs), fraction=0.1, most=90)
    assert set(texts[95:]) <= set(select.texts)
    assert len(select) == 10


def test_named_groups_stay_together() -> None:
    documents = [f"document {i // 7}" for i in range(210)]
    texts = [f"sentence number {i}" for i in range(210)]
    train, select = split_off_select(
        _split(texts, [i % 2 for i in range(210)], groups=documents), fraction=0.2, most=90
    )
    sides = [{documents[int(row)] for row in split.ids} for split in (train, select)]
    assert sides[0].isdisjoint(sides[1])
    assert len(select) == 42


def test_class_proportions_are_preserved() -> None:
    whole = _split([f"text {i}" for i in range(1000)], [int(i % 10 == 0) for i in range(1000)])
    _, select = split_off_select(whole, fraction=0.1, most=1000)
    assert len(select) == 100
    assert int(select.labels.sum()) == 10


def test_no_class_is_removed_completely() -> None:
    whole = _split([f"text {i}" for i in range(20)], [int(i == 3) for i in range(20)])
    train, _ = split_off_select(whole, fraction=0.9, most=1000)
    assert set(train.labels.tolist()) == {0, 1}


def test_the_split_does_not_depend_on_the_order_of_examples() -> None:
    whole = _phrases(60)
    turned = whole.take(np.arange(len(whole))[::-1])
    selected = [set(split_off_select(split, fraction=0.2, most=500)[1].ids) for split in (whole, turned)]
    assert selected[0] == selected[1]


def test_the_split_has_a_maximum_size() -> None:
    _, select = split_off_select(_split([f"text {i}" for i in range(50)], [0] * 50), fraction=0.5, most=7)
    assert len(select) == 7


def test_the_distribution_of_scores_is_preserved() -> None:
    whole = _split([f"text {i}" for i in range(500)], [i / 100 for i in range(500)])
    _, select = split_off_select(whole, fraction=0.1, most=500)
    assert np.histogram(select.labels, bins=5, range=(0, 5))[0].tolist() == [10] * 5


@pytest.mark.parametrize(
    ("texts", "groups"),
    [(["a .", "A", "a"], None), (["a", "b", "c"], ["one"] * 3), (["a very good film", "good film", "a very"], None)],
)
def test_a_single_group_cannot_be_divided(texts: list[str], groups: list[str] | None) -> None:
    with pytest.raises(UserError, match="the 3 training examples cannot be divided into train and select"):
        split_off_select(_split(texts, [0, 1, 0], groups=groups), fraction=0.1, most=10)
