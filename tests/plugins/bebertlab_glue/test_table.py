"""Checks of what was read."""

from __future__ import annotations

import pytest

from bebertlab.api import UserError
from bebertlab_glue.catalogue import CATALOGUE
from bebertlab_glue.table import Table, check_table


def _cola(
    texts: tuple[str, ...] = ("a .", "b ."), labels: tuple[float, ...] = (0, 1), numbers: tuple[int, ...] = (3, 7)
) -> Table:
    return check_table("f", CATALOGUE["cola"], numbers=numbers, texts=texts, pairs=None, labels=labels)


def test_ids_are_the_numbers_of_the_data_set() -> None:
    assert _cola().split("train").ids == ("train-3", "train-7")


def test_labels_are_whole_numbers_for_classes_and_scores_for_regression() -> None:
    assert _cola().labels.tolist() == [0, 1]
    scores = check_table("f", CATALOGUE["stsb"], numbers=[0], texts=["a"], pairs=["b"], labels=[2.5])
    assert scores.labels.tolist() == [2.5]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"texts": ("a .", " ")}, "f: row 1: sentence is empty; every example needs a text"),
        ({"labels": (0, 2)}, r"f: row 1: label is 2, which is none of: 0 \(unacceptable\), 1 \(acceptable\)"),
        ({"labels": (-1, 1)}, "row 0: label is -1, .*hidden labels of a test set"),
        ({"numbers": (3, 3)}, "f: row 1: idx 3 stands there a second time"),
        ({"texts": (), "labels": (), "numbers": ()}, "f: it has no rows"),
        ({"texts": ("a .", 7)}, "f: row 1: sentence is 7, which is no text"),
        ({"texts": ("a .", None)}, "f: row 1: sentence is empty; every example needs a text"),
        ({"labels": (0, "one")}, r"f: row 1: label is 'one', which is none of: 0 \(unacceptable\), 1 \(acceptable\)"),
        ({"labels": (None, 1)}, "f: row 0: label is None, which is none of: 0"),
        ({"numbers": (3, "x")}, "f: row 1: idx is 'x', which is no whole number"),
        ({"numbers": (1.5, 2)}, "f: row 0: idx is 1.5, which is no whole number"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(columns: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _cola(**columns)  # type: ignore[arg-type]  # deliberately mixed


def test_an_empty_second_text_is_named() -> None:
    with pytest.raises(UserError, match="row 0: sentence2 is empty"):
        check_table("f", CATALOGUE["rte"], numbers=[0], texts=["a"], pairs=[""], labels=[0])


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(UserError, match=r"row 0: label is nan, which is none of: a score such as 3\.2"):
        check_table("f", CATALOGUE["stsb"], numbers=[0], texts=["a"], pairs=["b"], labels=[float("nan")])


def test_the_hubs_numbers_become_those_of_the_classes() -> None:
    # 0, 1, 2 on the hub: entailment, neutral, contradiction
    table = check_table("f", CATALOGUE["mnli"], numbers=range(4), texts=["a"] * 4, pairs=["b"] * 4, labels=[0, 1, 2, 1])
    assert [CATALOGUE["mnli"].classes[label] for label in table.labels] == [
        "entailment",
        "neutral",
        "contradiction",
        "neutral",
    ]


def test_a_file_that_names_its_classes_is_believed() -> None:
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
    with pytest.raises(UserError, match=r"f: the classes of column label are no, yes; they should be entailment, not_"):
        check_table(
            "f",
            CATALOGUE["rte"],
            numbers=[0],
            texts=["a"],
            pairs=["b"],
            labels=[0],
            stored_classes=("no", "yes"),
        )
