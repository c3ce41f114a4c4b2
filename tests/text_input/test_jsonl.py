from __future__ import annotations

import io
import json

import pytest

from bebertlab.errors import UserError
from bebertlab.text_input.jsonl import JsonLinesSource
from bebertlab.text_input.lines import LineReader


def source(text: str | bytes, *columns: str) -> JsonLinesSource:
    data = text if isinstance(text, bytes) else text.encode()
    return JsonLinesSource(LineReader(io.BytesIO(data), "t.jsonl", len(data)), columns)


def test_values_of_objects_are_texts() -> None:
    lines = source('\ufeff{"a": "x\\u0000", "b": 1}\r\n\n  \n{"b": null, "a": "caf\u00e9\\n"}', "a")
    assert [(record.number, record.texts) for record in lines] == [(1, ("x\0",)), (4, ("caf\u00e9\n",))]


def test_two_columns_are_pairs() -> None:
    assert [record.texts for record in source('{"a": "1", "b": "2"}\n', "b", "a")] == [("2", "1")]


def test_the_only_column_is_that_of_the_first_object() -> None:
    lines = source('broken\n{"a": "x"}\n{"a": "y", "b": "z"}\n{"b": "z"}\n')
    assert [record.texts for record in lines] == [(), ("x",), ("y",), ()]
    with pytest.raises(UserError, match=r"^t\.jsonl, line 2 has 2 columns; choose .* with --column: a, b$"):
        list(source('\n{"a": "x", "b": "y"}\n'))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"b": "x"}', "has no 'a'; it has b"),
        ("{}", "has no 'a'; it has nothing"),
        ('{"a": null}', "'a' is null; expected a text"),
        ('{"a": 3}', "'a' is a number; expected a text"),
        ('{"a": NaN}', "'a' is a number; expected a text"),
        ('{"a": true}', "'a' is true or false; expected a text"),
        ('{"a": ["x"]}', "'a' is an array; expected a text"),
        ('{"a": {}}', "'a' is an object; expected a text"),
        ('["x"]', "is an array; expected an object with the text"),
        ('"x"', "is a text; expected an object with the text"),
        ('{"a": "x"', "not valid JSON: Expecting ',' delimiter at character 10"),
        ('{"a": "x", "a": "y"}', "not valid JSON: it has 'a' twice"),
        ('{"a": "\\ud800"}', "\\ud800 is half of a surrogate pair, which is no character"),
        ("[" * 100_000, "not valid JSON: "),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON: Exceeds the limit (4300 digits)"),
    ],
)
def test_problems_are_those_of_one_line(line: str, problem: str) -> None:
    good = json.dumps({"a": "good"})
    first, second, third = source(f"{good}\n{line}\n{good}\n", "a")
    assert (first.texts, third.texts) == (("good",), ("good",))
    assert second.texts == ()
    assert str(second.problem).startswith(problem)


def test_lines_that_are_not_utf8_are_problems() -> None:
    assert [record.problem for record in source(b'{"a": "\xff"}\n', "a")] == ["byte 0xff is not UTF-8"]


def test_the_position_counts_bytes() -> None:
    lines = source('{"a": "x"}\n{"a": "y"}', "a")
    assert ([lines.position for _ in lines], lines.total) == ([11, 21], 21)
