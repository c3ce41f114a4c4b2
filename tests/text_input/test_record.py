from __future__ import annotations

import pytest

from bebertlab.errors import UserError
from bebertlab.text_input.record import choose_columns, shown, text_problem, texts_record


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("good film", None),
        ("caf\u00e9 \U0001f600 \x00", None),
        (b"\xc3".decode("utf-8", "surrogateescape"), "byte 0xc3 is not UTF-8"),
        ("a \ud83d", "\\ud83d is half of a surrogate pair, which is no character"),
    ],
)
def test_texts_with_bytes_or_halves_of_characters_have_a_problem(text: str, problem: str | None) -> None:
    assert text_problem(text) == problem


def test_a_record_has_either_texts_or_a_problem() -> None:
    good = texts_record(3, ["a", "b"])
    assert (good.number, good.texts, good.problem) == (3, ("a", "b"), None)
    bad = texts_record(4, ["a", "\udcff"])
    assert (bad.number, bad.texts, bad.problem) == (4, (), "byte 0xff is not UTF-8")


def test_columns_are_found_by_name_in_the_order_that_they_are_wanted() -> None:
    assert choose_columns(["b", "a"], ["a", "c", "b"], "t.csv") == (2, 0)
    assert choose_columns([], ["a"], "t.csv") == (0,)


@pytest.mark.parametrize(
    ("wanted", "names", "message"),
    [
        (["texd"], ["text", "label"], r"^t\.csv has no column 'texd'; did you mean 'text'\? \(known: label, text\)$"),
        (["a"], ["a", "b", "a"], r"^t\.csv has 2 columns 'a'; rename all but one$"),
        ([], ["a", "b"], r"^t\.csv has 2 columns; choose the column of the texts with --column: a, b$"),
        ([], [], r"^t\.csv has 0 columns"),
    ],
)
def test_columns_that_are_not_clear_are_refused(wanted: list[str], names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_columns(wanted, names, "t.csv")


def test_many_names_are_counted() -> None:
    assert shown([str(number) for number in range(22)]).endswith("18, 19 and 2 more")
