"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bebertlab.text_input.lines import LineReader, without_end
from bebertlab.text_input.record import Record, choose_columns, shown, text_problem, texts_record

_TYPES = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


class JsonLinesSource:
    """Texts in values of JSON objects. Blank lines are no objects and are skipped."""

    unit = "line"

    def __init__(self, lines: LineReader, columns: Sequence[str]) -> None:
        self.name, self.total = lines.name, lines.total
        self._lines = lines
        self._columns = tuple(columns)

    @property
    def position(self) -> int:
        """Bytes that have been read."""
        return self._lines.position

    def __iter__(self) -> Iterator[Record]:
        for line in self._lines:
            if line.isspace():
                continue
            try:
                yield texts_record(self._lines.number, self._texts(line))
            except _Problem as problem:
                yield Record(number=self._lines.number, problem=str(problem))

    def _texts(self, line: str) -> list[str]:
        data = _parse(line)
        if not self._columns:
            where = f"{self.name}, line {self._lines.number}"
            names = list(data)
            self._columns = tuple(names[index] for index in choose_columns((), names, where))
        return [_text(data, column) for column in self._columns]


class _Problem(Exception):
    """What is wrong with a line."""


def _parse(line: str) -> Mapping[str, Any]:
    if problem := text_problem(line):
        raise _Problem(problem)
    try:
        data = json.loads(without_end(line), object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise _Problem(f"not valid JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:
        raise _Problem(f"not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise _Problem(f"is {_TYPES.get(type(data), 'a text')}; expected an object with the text")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has '{next(name for name in names if names.count(name) > 1)}' twice")
    return data


def _text(data: Mapping[str, Any], column: str) -> str:
    if column not in data:
        raise _Problem(f"has no '{column}'; it has {shown(list(data)) or 'nothing'}")
    value = data[column]
    if not isinstance(value, str):
        raise _Problem(f"'{column}' is {_TYPES[type(value)]}; expected a text")
    return value
