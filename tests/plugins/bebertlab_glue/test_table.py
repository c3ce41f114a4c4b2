"""Validation of the data that were read."""

from __future__ import annotations

import pytest

from bebertlab.api import UserError
from bebertlab_glue.catalogue import CATALOGUE
from bebertlab_glue.table import ExampleTable, check_table


def _cola(
    texts: tuple[str, ...] = ("a .", "b ."), labels: tuple[float, ...] = (0, 1), numbers: tuple[int, ...] = (3, 7)
) -> ExampleTable:
    return check_table("f", CATALOGUE["cola"], numbers=numbers, texts=texts, pairs=None, labels=labels)


def test_ids_are_the_indices_of_the_data_set() -> None:
    assert _cola().split("train").ids == ("train-3", "train-7")


def test_labels_are_integers_for_classes_and_floats_for_regression() -> None:
    assert _cola().labels.tolist() == [0, 1]
    scores = check_table("f", CATALOGUE["stsb"], numbers=[0], texts=["a"], pairs=["b"], labels=[2.5])
    assert scores.labels.tolist() == [2.5]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"texts": ("a .", " ")}, "f: row 1: sentence is empty; every example needs a text"),
        ({"labels": (0, 2)}, r"f: row 1: label is 2; expected one of: 0 \(unacceptable\), 1 \(acceptable\)"),
        ({"numbers": (3, 3)}, "f: row 1: idx 3 is repeated; .*without the column idx the rows are numbered"),
        ({"texts": (), "labels": (), "numbers": ()}, "f: no rows"),
        ({"texts": ("a .", 7)}, "f: row 1: sentence is 7; expected a text"),
        ({"texts": ("a .", None)}, "f: row 1: sentence is null; every example needs a text"),
        ({"numbers": (3, "x")}, "f: row 1: idx is 'x'; expected an integer"),
        ({"numbers": (1.5, 2)}, "f: row 0: idx is 1.5; expected an integer"),
    ],
)
def test_errors_are_named_with_their_row(columns: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _cola(**columns)  # type: ignore[arg-type]  # deliberately mixed


def _rte(texts: list[str | None], pairs: list[str | None]) -> ExampleTable:
    return check_table("f", CATALOGUE["rte"], numbers=None, texts=texts, pairs=pairs, labels=[0] * len(texts))


def test_one_text_of_a_pair_may_be_empty() -> None:
    table = _rte(["a", " ", "c"], ["", "b", "d"])
    assert table.split("train").pairs == ("", "b", "d")
    assert table.blank_rows() == [0, 1]
    with pytest.raises(UserError, match="f: row 1: sentence1 and sentence2 are empty; every example needs a text"):
        _rte(["a", " "], ["", ""])
    with pytest.raises(UserError, match="f: row 0: sentence2 is null"):
        _rte(["a"], [None])


def test_without_an_index_the_rows_are_numbered() -> None:
    assert _rte(["a", "b"], ["c", "d"]).split("train").ids == ("train-0", "train-1")


def test_groups_are_names_or_integers() -> None:
    def read(groups: list[object]) -> ExampleTable:
        return check_table(
            "f", CATALOGUE["cola"], numbers=None, texts=["a", "b"], pairs=None, labels=[0, 1], groups=groups
        )

    assert read([1, "x"]).split("train").groups == ("1", "x")
    with pytest.raises(UserError, match="f: row 1: the group is None; expected a name or an integer"):
        read(["x", None])


def test_class_indices_of_the_hub_are_translated() -> None:
    # 0, 1, 2 on the hub: entailment, neutral, contradiction
    table = check_table("f", CATALOGUE["mnli"], numbers=range(4), texts=["a"] * 4, pairs=["b"] * 4, labels=[0, 1, 2, 1])
    assert [CATALOGUE["mnli"].classes[label] for label in table.labels] == [
        "entailment",
        "neutral",
        "contradiction",
        "neutral",
    ]


def test_class_names_of_a_file_override_the_hub_order() -> None:
    names = ("neutral", "contradiction", "entailment")
    table = check_table(
        "f",
        CATALOGUE["mnli"],
        numbers=range(3),
        texts=["a"] * 3,
        pairs=["b"] * 3,
        labels=[0, 1, 2],
        stored_classes=names,
    )
    assert tuple(CATALOGUE["mnli"].classes[label] for label in table.labels) == names
    with pytest.raises(UserError, match=r"f: the classes of column label are no, yes; expected entailment, not_"):
        check_table(
            "f",
            CATALOGUE["rte"],
            numbers=[0],
            texts=["a"],
            pairs=["b"],
            labels=[0],
            stored_classes=("no", "yes"),
        )
