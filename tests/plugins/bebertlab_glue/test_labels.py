from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from bebertlab.api import UserError
from bebertlab_glue.catalogue import CATALOGUE, TaskName
from bebertlab_glue.labels import read_labels


def _read(name: TaskName, labels: Sequence[object], names: Sequence[str] | None = None) -> list[float]:
    values = read_labels("f", CATALOGUE[name], labels, names)
    assert values.dtype == (np.int64 if CATALOGUE[name].classes else np.float32)
    return [round(value, 4) for value in values.tolist()]


@pytest.mark.parametrize(
    ("name", "labels", "read"),
    [
        ("sst2", [0, 1.0, Decimal(1), "1", " 0 ", "1.0"], [0, 1, 1, 1, 0, 1]),
        ("sst2", ["positive", "Negative"], [1, 0]),
        ("qnli", ["not-entailment", "Not Entailment", "entailment"], [1, 1, 0]),
        ("mnli", [0, "0", "entailment", 2], [1, 1, 1, 0]),  # the hub's numbers
        ("cola", [True, False], [1, 0]),
        ("stsb", [0, 5, 3.8, "3.8", Decimal("2.5"), "1e0"], [0, 5, 3.8, 3.8, 2.5, 1]),
    ],
)
def test_numbers_and_names_are_read_from_text(name: TaskName, labels: list[object], read: list[float]) -> None:
    assert _read(name, labels) == read


@pytest.mark.parametrize(
    ("name", "label", "message"),
    [
        ("sst2", 2, r"label is 2; expected one of: 0 \(negative\), 1 \(positive\)$"),
        ("sst2", -1, "label is -1; .*; -1 marks the hidden labels of a test set"),
        ("sst2", "-1", "label is the text '-1'; .*; -1 marks the hidden labels of a test set"),
        ("sst2", 0.5, "label is 0.5; expected"),
        ("sst2", "pos", r"label is the text 'pos'; expected one of: 0 \(negative\), 1 \(positive\)$"),
        ("sst2", "1_0", "label is the text '1_0'; expected"),
        ("sst2", None, "label is null; expected"),
        ("sst2", float("nan"), "label is nan; expected"),
        ("qnli", True, "label is True; expected"),  # class 1 says no
        ("mnli", True, "label is True; expected"),
        ("mnli", "-", "label is the text '-'; expected"),
        ("stsb", -1.0, r"label is -1.0; expected a score in 0\.\.5; -1 marks the hidden labels of a test set"),
        ("stsb", 5.01, r"label is 5.01; expected a score in 0\.\.5$"),
        ("stsb", "3,8", r"label is the text '3,8'; .*; write it with a decimal point, or store the column as float"),
        ("stsb", "high", r"label is the text 'high'; expected a score in 0\.\.5$"),
        ("stsb", "nan", "label is the text 'nan'; expected"),
        ("stsb", float("inf"), "label is inf; expected"),
        ("stsb", None, "label is null; expected"),
        ("stsb", True, "label is True; expected"),
    ],
)
def test_an_invalid_label_is_named_with_its_row(name: TaskName, label: object, message: str) -> None:
    with pytest.raises(UserError, match=f"f: row 1: {message}"):
        _read(name, [0, label])


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["positive", "negative"], [1, 0]),
        (["Negative", "POSITIVE"], [0, 1]),
        (["0", "1"], [0, 1]),
        (["1", "0"], [1, 0]),
    ],
)
def test_class_names_of_a_file_define_its_numbers(names: list[str], read: list[float]) -> None:
    assert _read("sst2", [0, 1], names) == read


def test_other_names_are_refused() -> None:
    for names in (["no", "yes"], ["positive", "positive"], ["negative", "neutral", "positive"], ["2", "1"]):
        with pytest.raises(UserError, match=r"f: the classes of column label are .*; expected negative, positive"):
            _read("sst2", [0, 1], names)
