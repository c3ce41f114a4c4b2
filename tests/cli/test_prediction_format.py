from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from bebertlab.cli.prediction_format import CsvRows, JsonRows, RowFormat, row_format
from bebertlab.errors import UserError

CLASSES = ("no", 'may"be, \u00e9', "yes")
ROW = np.array([0.1, 0.7, 0.2], dtype=np.float32)


def cells(rows: RowFormat, *lines: str) -> list[list[str]]:
    return list(csv.reader([rows.header(), *lines]))


def test_json_rows_have_all_classes_in_the_order_of_the_outputs() -> None:
    text = row_format("jsonl", CLASSES).row(ROW)
    assert text.endswith("}\n")
    assert "\u00e9" in text
    data = json.loads(text)
    assert data["label"] == CLASSES[1]
    assert list(data["probabilities"].items()) == [(CLASSES[0], 0.1), (CLASSES[1], 0.7), (CLASSES[2], 0.2)]


def test_csv_rows_have_a_column_for_each_class() -> None:
    rows = row_format("csv", CLASSES)
    header, row = cells(rows, rows.row(ROW))
    assert header == ["label", "probability: no", f"probability: {CLASSES[1]}", "probability: yes"]
    assert row == [CLASSES[1], "0.1", "0.7", "0.2"]


@pytest.mark.parametrize(("top", "shown"), [(1, 1), (2, 2), (9, 3)])
def test_top_shows_the_most_probable_classes_first(top: int, shown: int) -> None:
    ranked = [(CLASSES[1], 0.7), ("yes", 0.2), ("no", 0.1)][:shown]
    data = json.loads(row_format("jsonl", CLASSES, top=top).row(ROW))
    assert (data["label"], list(data["probabilities"].items())) == (CLASSES[1], ranked)
    rows = row_format("csv", CLASSES, top=top)
    header, row = cells(rows, rows.row(ROW))
    assert header == ["label", "probability", "label_2", "probability_2", "label_3", "probability_3"][: 2 * shown]
    assert row == [str(value) for pair in ranked for value in pair]


def test_the_first_of_a_tie_is_the_label() -> None:
    tie = np.array([0.25, 0.5, 0.5], dtype=np.float32)
    assert json.loads(JsonRows(classes=CLASSES).row(tie))["label"] == CLASSES[int(tie.argmax())]


@pytest.mark.parametrize("number", [0.1, 1e-7, 0.30092475, 1.0, 3.4e38])
def test_numbers_give_the_same_number_again(number: float) -> None:
    row = np.array([number], dtype=np.float32)
    assert np.float32(json.loads(JsonRows(classes=()).row(row))["value"]) == row[0]
    assert np.float32(cells(CsvRows(classes=()), CsvRows(classes=()).row(row))[1][0]) == row[0]
    assert len(JsonRows(classes=()).row(row)) < 30


def test_a_regression_has_a_value() -> None:
    row = np.array([2.5])
    assert row_format("jsonl", ()).row(row) == '{"value": 2.5}\n'
    rows = row_format("csv", ())
    assert rows.header() + rows.row(row) == "value\n2.5\n"
    with pytest.raises(UserError, match=r"^--top: the model is a regression, which has no classes$"):
        row_format("csv", (), top=1)


@pytest.mark.parametrize(("classes", "keys"), [((), ["value"]), (CLASSES, ["label", "probabilities"])])
def test_a_missing_row_has_the_same_columns_and_the_problem(classes: tuple[str, ...], keys: list[str]) -> None:
    data = json.loads(row_format("jsonl", classes, errors=True).missing("line 3: broken"))
    assert data == {**dict.fromkeys(keys), "error": "line 3: broken"}
    rows = row_format("csv", classes, errors=True)
    value = ROW if classes else ROW[:1]
    header, good, missing = cells(rows, rows.row(value), rows.missing("line 3: broken"))
    assert header[-1] == "error"
    assert (len(good), good[-1]) == (len(header), "")
    assert missing == [*[""] * (len(header) - 1), "line 3: broken"]
