"""What is chosen on is never trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bebertlab.api import UserError
from bebertlab_glue.carve import carve
from bebertlab_glue.table import Table


def _table(texts: list[str], labels: list[int]) -> Table:
    return Table(
        origin="f", numbers=np.arange(len(texts)), texts=tuple(texts), pairs=None, labels=np.array(labels, np.int64)
    )


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 1)), min_size=2, max_size=60), st.data())
def test_no_text_stands_on_both_sides_and_no_row_is_lost(rows: list[tuple[str, int]], data: st.DataObject) -> None:
    if len({text for text, _ in rows}) < 2:
        return
    table = _table([text for text, _ in rows], [label for _, label in rows])
    train, select = carve(table, data.draw(st.floats(0.01, 0.4)), 100)
    assert sorted([*train.numbers, *select.numbers]) == list(range(len(rows)))
    assert set(train.texts).isdisjoint(select.texts)
    assert len(select) >= 1


def test_the_classes_keep_their_shares() -> None:
    table = _table([f"text {i}" for i in range(1000)], [int(i % 10 == 0) for i in range(1000)])
    _, select = carve(table, 0.1, 1000)
    assert len(select) == 100
    assert int(select.labels.sum()) == 10


def test_the_order_of_the_file_does_not_matter() -> None:
    texts = [f"text {i}" for i in range(50)]
    labels = [i % 2 for i in range(50)]
    _, select = carve(_table(texts, labels), 0.2, 50)
    _, turned = carve(_table(texts[::-1], labels[::-1]), 0.2, 50)
    assert set(select.texts) == set(turned.texts)


def test_there_is_a_most() -> None:
    _, select = carve(_table([f"text {i}" for i in range(50)], [0] * 50), 0.5, 7)
    assert len(select) == 7


def test_case_and_spacing_do_not_make_another_text() -> None:
    table = _table(["A cat .", "a  cat . ", *(f"x {i}" for i in range(18))], [0] * 20)
    for fraction in np.linspace(0.05, 0.9, 18):
        train, select = carve(table, float(fraction), 20)
        sides = [any(" ".join(text.lower().split()) == "a cat ." for text in side.texts) for side in (train, select)]
        assert sides.count(True) == 1


def test_rows_of_one_text_cannot_be_parted() -> None:
    with pytest.raises(UserError, match="f: 2 rows of one text leave none to train on"):
        carve(_table(["a", "A"], [0, 1]), 0.5, 10)
