"""Columns of CSV (RFC 4180) and of TSV."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from bebertlab.errors import UserError
from bebertlab.text_input.lines import LONGEST_LINE, LineReader, without_end
from bebertlab.text_input.record import Record, choose_columns, text_problem, texts_record


class DelimitedSource(ABC):
    """Texts in columns of a table with a header. An empty value is an empty text; a blank line is no row."""

    unit = "line"  #: the first one of a row

    def __init__(self, lines: LineReader, columns: Sequence[str]) -> None:
        """Read the header.

        Raises:
            UserError: there is none, it is damaged, or it does not have each of the columns once.
        """
        self.name, self.total = lines.name, lines.total
        self._lines = lines
        self._rows = self.rows(lines)
        header = self._header()
        self._columns = len(header)
        self._chosen = choose_columns(columns, header, self.name)

    @property
    def position(self) -> int:
        """Bytes that have been read."""
        return self._lines.position

    def __iter__(self) -> Iterator[Record]:
        start = self._lines.number + 1
        try:
            for row in self._rows:
                # the values of a blank line, which is a row only where a row is one value without quotes
                if row:
                    yield self._record(start, row)
                start = self._lines.number + 1
        except csv.Error as error:
            raise UserError(f"{self.name}, line {start}: {_message(error)}") from error

    @abstractmethod
    def rows(self, lines: LineReader) -> Iterator[list[str]]:
        """The values of each row; empty for a blank line."""

    def _header(self) -> list[str]:
        try:
            header = next(filter(None, self._rows), None)
        except csv.Error as error:
            raise UserError(f"{self.name}, line 1: {_message(error)}") from error
        if header is None:
            raise UserError(f"{self.name} is empty; expected a line with the names of the columns")
        if problem := next(filter(None, map(text_problem, header)), None):
            raise UserError(f"{self.name}, line 1: {problem}")
        return header

    def _record(self, number: int, row: list[str]) -> Record:
        if len(row) != self._columns:
            return Record(number=number, problem=f"expected {self._columns} values, as in the header; found {len(row)}")
        return texts_record(number, [row[index] for index in self._chosen])


class CsvSource(DelimitedSource):
    """Values separated by commas; those with commas, quotes or line ends are in double quotes."""

    def rows(self, lines: LineReader) -> Iterator[list[str]]:
        """The values of each row."""
        before = csv.field_size_limit(LONGEST_LINE)  # 128 KiB otherwise; the module has one limit for all readers
        try:
            yield from csv.reader(lines, strict=True)
        finally:
            csv.field_size_limit(before)


class TsvSource(DelimitedSource):
    """Values separated by tabs, in which quotes have no meaning, as in the files of GLUE."""

    def rows(self, lines: LineReader) -> Iterator[list[str]]:
        """The values of each row; a blank line of a table with one column is an empty value."""
        columns = 0
        for line in lines:
            values = without_end(line).split("\t")
            columns = columns or len(values)
            yield values if columns == 1 or values != [""] else []


def _message(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "a quote is not closed"
    if "field larger than" in text:
        return f"a value is longer than {LONGEST_LINE >> 20} MiB, or a quote is not closed"
    if "new-line character" in text:
        return "a carriage return outside of quotes; lines must end in LF or CRLF"
    return f"not valid CSV: {text}"
