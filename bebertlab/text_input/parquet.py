"""Columns of a parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bebertlab.errors import UserError, first_line
from bebertlab.text_input.record import Record, choose_columns, texts_record

_ROWS = 1024  #: that are converted to Python's objects at once


class ParquetSource:
    """Texts in columns of a parquet file, of a type of strings; a null is a problem of its row."""

    unit = "row"

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Read the schema.

        Raises:
            UserError: the file is damaged, or a column is missing, there twice, or not of a type of strings.
        """
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        self.name = str(path)
        try:
            self._file = ParquetFile(path)
        except (ArrowException, OSError) as error:
            raise UserError(f"{path}: not a readable parquet file: {first_line(error)}") from error
        try:
            self._columns = self._choose(columns)
        except UserError:
            self.close()
            raise
        self.total: int | None = self._file.metadata.num_rows
        self.position = 0  #: rows that have been read

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __iter__(self) -> Iterator[Record]:
        from pyarrow import ArrowException

        try:
            for batch in self._file.iter_batches(batch_size=_ROWS, columns=self._columns):
                values = [_values(batch.column(column)) for column in self._columns]
                for texts in zip(*values, strict=True):
                    self.position += 1
                    yield self._record(texts)
        except (ArrowException, OSError) as error:
            row = self.position + 1
            raise UserError(f"{self.name}, row {row}: cannot be read from here on: {first_line(error)}") from error

    def _choose(self, columns: Sequence[str]) -> list[str]:
        schema = self._file.schema_arrow
        chosen = [schema.names[index] for index in choose_columns(columns, schema.names, self.name)]
        for column in chosen:
            _check_type(self.name, column, schema.field(column).type)
        return chosen

    def _record(self, texts: tuple[str | None, ...]) -> Record:
        given = [text for text in texts if text is not None]
        if len(given) < len(texts):
            column = self._columns[texts.index(None)]
            return Record(number=self.position, problem=f"'{column}' is null; expected a text")
        return texts_record(self.position, given)


def _check_type(name: str, column: str, kind: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    from pyarrow import types

    plain = kind.value_type if types.is_dictionary(kind) else kind
    if not any(is_string(plain) for is_string in (types.is_string, types.is_large_string, types.is_string_view)):
        raise UserError(f"{name}: column '{column}' is of type {kind}; expected texts (string)")


def _values(column: Any) -> list[str | None]:  # noqa: ANN401 - pyarrow has no types
    try:
        values: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:  # pyarrow does not check what others wrote
        import pyarrow

        plain = column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column
        encoded = plain.cast(pyarrow.large_binary()).to_pylist()
        values = [None if value is None else value.decode("utf-8", "surrogateescape") for value in encoded]
    return values
