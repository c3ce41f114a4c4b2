from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bebertlab_glue.catalogue import CATALOGUE, TaskName
from bebertlab_glue.caveats import caveats
from bebertlab_glue.table import check_table


def _said(name: TaskName, labels: Sequence[object], pairs: list[str] | None = None) -> list[str]:
    texts = [f"text {i}" for i in range(len(labels))]
    entry = CATALOGUE[name]
    if entry.pair and pairs is None:
        pairs = [f"pair {i}" for i in range(len(labels))]
    table = check_table("f", entry, numbers=None, texts=texts, pairs=pairs, labels=labels)
    return list(caveats(entry, {"train": table}, table.split("train")))


def test_ordinary_data_has_none() -> None:
    assert _said("cola", [0, 1]) == _said("stsb", [0.5, 3.2]) == _said("mnli", [0, 1, 2]) == []


def test_pairs_with_an_empty_text_are_counted() -> None:
    (said,) = _said("qqp", [0, 1, 0], ["", "b", " "])
    assert said == "train: 2 of 3 pairs have an empty question1 or question2"


def test_labels_that_are_all_the_same_are_said() -> None:
    assert _said("cola", [1, 1]) == ["train: all 2 labels are acceptable; there is nothing to learn"]
    assert _said("stsb", [2.5, 2.5]) == ["train: all 2 labels are 2.5; there is nothing to learn"]


def test_a_class_without_examples_is_said() -> None:
    assert _said("mnli", [0, 1]) == ["train has no example of class contradiction"]


def test_scores_of_another_range_are_said() -> None:
    assert _said("stsb", [0.2, 0.8]) == ["train: labels lie in 0.2..0.8; those of the task lie in 0..5"]


def test_a_class_that_is_not_left_to_train_on_is_said() -> None:
    entry = CATALOGUE["cola"]
    table = check_table("f", entry, numbers=None, texts=["a", "b"], pairs=None, labels=[0, 1])
    left = table.split("train").take(np.array([0]))
    assert list(caveats(entry, {"train": table}, left)) == ["train has no example of class acceptable"]
