"""The source of texts of a file or a stream, by its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from bebertlab.errors import SetupError, UserError
from bebertlab.text_input.delimited import CsvSource, TsvSource
from bebertlab.text_input.jsonl import JsonLinesSource
from bebertlab.text_input.lines import LineReader, LineSource
from bebertlab.text_input.parquet import ParquetSource
from bebertlab.text_input.record import PAIR, TextSource

InputFormat = Literal["text", "csv", "tsv", "jsonl", "parquet"]
INPUT_FORMATS: tuple[InputFormat, ...] = get_args(InputFormat)

_SUFFIXES: dict[str, InputFormat] = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


def format_of(path: Path) -> InputFormat:
    """The format of a file by its suffix.

    >>> format_of(Path("reviews.CSV"))
    'csv'

    Raises:
        UserError: no format has that suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise UserError(f"{path}: its suffix is none of {known}; name its format with --input-format")
    return _SUFFIXES[suffix]


@contextmanager
def open_file(path: Path, form: InputFormat, columns: Sequence[str]) -> Iterator[TextSource]:
    """The texts of a file; of a table those in one column, or pairs in two. Columns: see `read_stream`.

    Raises:
        SetupError: the file cannot be read.
        UserError: as `read_stream`.
    """
    _check_columns(form, columns)
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from error
        if form == "parquet":
            yield stack.enter_context(closing(ParquetSource(path, columns)))
        else:
            size = path.stat().st_size if path.is_file() else None
            yield _lines_source(LineReader(stream, str(path), size), form, columns)


def read_stream(stream: BinaryIO, name: str, form: InputFormat, columns: Sequence[str]) -> TextSource:
    """The texts of a stream, `name` in messages. Without columns those in the only column of a table.

    Raises:
        UserError: the format has no columns, a column is missing, or the beginning of the stream is damaged.
    """
    _check_columns(form, columns)
    if form == "parquet":
        raise UserError(f"{name}: parquet cannot be read from a stream; give a file")
    return _lines_source(LineReader(stream, name), form, columns)


def _lines_source(lines: LineReader, form: InputFormat, columns: Sequence[str]) -> TextSource:
    if form == "text":
        return LineSource(lines)
    if form == "jsonl":
        return JsonLinesSource(lines, columns)
    return CsvSource(lines, columns) if form == "csv" else TsvSource(lines, columns)


def _check_columns(form: InputFormat, columns: Sequence[str]) -> None:
    if columns and form == "text":
        raise UserError("--column: lines of text have no columns; name another format with --input-format")
    if len(columns) > PAIR:
        raise UserError(f"--column is given {len(columns)} times; expected once, or twice for pairs of texts")
