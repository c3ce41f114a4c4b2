from __future__ import annotations

import csv
import io

import pytest

from bebertlab.errors import UserError
from bebertlab.text_input.delimited import CsvSource, DelimitedSource, TsvSource
from bebertlab.text_input.lines import LineReader
from bebertlab.text_input.record import Record


def source(cls: type[DelimitedSource], text: str | bytes, *columns: str) -> DelimitedSource:
    data = text if isinstance(text, bytes) else text.encode()
    return cls(LineReader(io.BytesIO(data), "t", len(data)), columns)


def texts(records: DelimitedSource) -> list[tuple[str, ...] | str | None]:
    return [record.texts or record.problem for record in records]


def test_quotes_hold_commas_line_ends_and_quotes() -> None:
    table = source(CsvSource, 'id,text\r\n1,"good, ""very""\r\nfilm"\r\n2,bad\r\n', "text")
    assert texts(table) == [('good, "very"\r\nfilm',), ("bad",)]


def test_two_columns_are_pairs() -> None:
    table = source(CsvSource, "a,b,c\n1,2,3\n4,5,6\n", "c", "a")
    assert texts(table) == [("3", "1"), ("6", "4")]


def test_numbers_are_those_of_the_first_line_of_a_row() -> None:
    table = source(CsvSource, 'text\n"a\nb"\n\nc\n')
    assert [record.number for record in table] == [2, 5]


def test_blank_lines_are_no_rows_and_empty_values_are_texts() -> None:
    assert texts(source(CsvSource, '\n\na,b\n\n,1\n"",2\n\n', "a")) == [("",), ("",)]
    assert texts(source(CsvSource, 'a\n""\n\nx\n')) == [("",), ("x",)]
    assert texts(source(TsvSource, "a\tb\n\n\t1\n", "a")) == [("",)]
    assert texts(source(TsvSource, "a\nx\n\ny\n")) == [("x",), ("",), ("y",)]  # the one way to write an empty value


def test_quotes_have_no_meaning_in_tsv() -> None:
    table = source(TsvSource, 'id\ttext\r\n1\t"good\r\n2\ta "b" c\r\n', "text")
    assert texts(table) == [('"good',), ('a "b" c',)]


@pytest.mark.parametrize(("cls", "separator"), [(CsvSource, ","), (TsvSource, "\t")])
def test_rows_with_another_number_of_values_are_problems(cls: type[DelimitedSource], separator: str) -> None:
    table = source(cls, "a,b\n1,2,3\n4\n5,6\n".replace(",", separator), "a")
    assert list(table) == [
        Record(number=2, problem="expected 2 values, as in the header; found 3"),
        Record(number=3, problem="expected 2 values, as in the header; found 1"),
        Record(number=4, texts=("5",)),
    ]


def test_bytes_that_are_not_utf8_matter_in_the_chosen_column_only() -> None:
    table = source(CsvSource, b"a,b\n\xff,x\ny,\xfe\n", "a")
    assert texts(table) == ["byte 0xff is not UTF-8", ("y",)]


def test_nul_bytes_and_marks_are_read() -> None:
    assert texts(source(CsvSource, "\ufeffa,b\nx\x00y,1\n", "a")) == [("x\x00y",)]


@pytest.mark.parametrize("cls", [CsvSource, TsvSource])
def test_a_table_without_a_header_is_refused(cls: type[DelimitedSource]) -> None:
    for text in ("", "\ufeff"):
        with pytest.raises(UserError, match=r"^t is empty; expected a line with the names of the columns$"):
            source(cls, text, "a")
    with pytest.raises(UserError, match=r"^t, line 1: byte 0xff is not UTF-8$"):
        source(cls, b"\xff\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a\nx\n"y\nz\n', "^t, line 3: a quote is not closed$"),
        ("a\nx\ny\rz\n", "^t, line 3: a carriage return outside of quotes; lines must end in LF or CRLF$"),
        ('a\nx\n"y"z\n', "^t, line 3: not valid CSV: ',' expected after '\"'$"),
    ],
)
def test_what_comes_before_damage_is_read(text: str, message: str) -> None:
    records = iter(source(CsvSource, text))
    assert next(records).texts == ("x",)
    with pytest.raises(UserError, match=message):
        next(records)


def test_a_damaged_header_is_refused() -> None:
    with pytest.raises(UserError, match=r"^t, line 1: a quote is not closed$"):
        source(CsvSource, '"a\n1\n')


def test_a_value_of_a_megabyte_is_read_and_the_limit_of_the_module_restored() -> None:
    before, value = csv.field_size_limit(), "good " * 200_000
    assert texts(source(CsvSource, f'a\n"{value}"\n')) == [(value,)]
    assert csv.field_size_limit() == before


def test_the_position_counts_bytes() -> None:
    table = source(TsvSource, "a\tb\n1\t2\n3\t4\n", "a")
    assert ([table.position for _ in table], table.total) == ([8, 12], 12)
