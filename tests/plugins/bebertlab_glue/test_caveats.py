from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from bebertlab_glue.catalogue import CATALOGUE, TaskName
from bebertlab_glue.caveats import data_caveats, subset_caveats
from bebertlab_glue.table import check_table


def _sentences(name: TaskName, labels: Sequence[object], pairs: list[str] | None = None) -> list[str]:
    texts = [f"text {i}" for i in range(len(labels))]
    entry = CATALOGUE[name]
    if entry.pair and pairs is None:
        pairs = [f"pair {i}" for i in range(len(labels))]
    table = check_table("f", entry, numbers=None, texts=texts, pairs=pairs, labels=labels)
    return [caveat.sentence for caveat in data_caveats(entry, {"train": table}, table.split("train"))]


def test_ordinary_data_has_no_caveats() -> None:
    assert _sentences("cola", [0, 1]) == _sentences("stsb", [0.5, 3.2]) == _sentences("mnli", [0, 1, 2]) == []


def test_pairs_with_an_empty_text_are_counted() -> None:
    (sentence,) = _sentences("qqp", [0, 1, 0], ["", "b", " "])
    assert sentence == "train: 2 of 3 pairs have an empty question1 or question2"


def test_equal_labels_are_a_caveat() -> None:
    assert _sentences("cola", [1, 1]) == ["train: all 2 labels are acceptable; there is nothing to learn"]
    assert _sentences("stsb", [2.5, 2.5]) == ["train: all 2 labels are 2.5; there is nothing to learn"]


def test_a_class_without_examples_is_a_caveat() -> None:
    assert _sentences("mnli", [0, 1]) == ["train has no example of class contradiction"]


def test_scores_out_of_range_are_a_caveat() -> None:
    assert _sentences("stsb", [0.2, 0.8]) == ["train: the labels are in 0.2..0.8, those of the task in 0..5"]


def test_a_class_without_training_examples_is_a_caveat() -> None:
    entry = CATALOGUE["cola"]
    table = check_table("f", entry, numbers=None, texts=["a", "b"], pairs=None, labels=[0, 1])
    left = table.split("train").take(np.array([0]))
    (caveat,) = data_caveats(entry, {"train": table}, left)
    assert (caveat.kind, caveat.sentence) == ("missing-class", "train has no example of class acceptable")


def test_only_whole_official_sets_are_called_glue() -> None:
    entry = CATALOGUE["rte"]
    texts = [f"text {i}" for i in range(2)]
    table = check_table("f", entry, numbers=None, texts=texts, pairs=texts, labels=[0, 1])
    small = {"train": table, "validation": table}
    assert [caveat.kind for caveat in subset_caveats("rte", small, None)] == ["unofficial-splits"]
    (limited,) = subset_caveats("rte", small, 2)
    assert (limited.kind, limited.short) == ("limited", "limit 2")
    renamed = {"train": table, "validation": evolve(table, unofficial=True)}
    assert [caveat.kind for caveat in subset_caveats("rte", renamed, 2)] == ["limited", "unofficial-splits"]
