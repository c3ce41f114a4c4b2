"""What is read: one text or a pair of texts at a time, or what is wrong at that place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from attrs import frozen

from bebertlab.errors import UserError, suggestion

PAIR = 2  #: columns of a pair of texts
_FIRST_ESCAPED, _LAST_ESCAPED = 0xDC80, 0xDCFF  #: what `surrogateescape` decodes bytes to that are not UTF-8


@frozen(kw_only=True)
class Record:
    """A text or a pair of texts."""

    number: int  #: of its line or row, from 1
    texts: tuple[str, ...] = ()  #: 1 or 2; empty if there is a problem
    problem: str | None = None  #: why it has no usable text


class TextSource(Protocol):
    """A stream of records. Memory is bounded by the longest record, or by a row group of a parquet file."""

    name: str  #: of the file, or of standard input
    unit: str  #: what `Record.number` counts, `line` or `row`
    total: int | None  #: size in bytes or rows; None if it is not known

    @property
    def position(self) -> int:
        """What has been read, in the unit of `total`."""
        ...

    def __iter__(self) -> Iterator[Record]:
        """The records.

        Raises:
            UserError: nothing can be read from here on; names the place.
        """
        ...


def text_problem(text: str) -> str | None:
    """What is wrong with a text that was decoded with `surrogateescape`; None if nothing is.

    >>> text_problem(b"caf\\xe9".decode("utf-8", "surrogateescape"))
    'byte 0xe9 is not UTF-8'
    """
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        if _FIRST_ESCAPED <= code <= _LAST_ESCAPED:
            return f"byte 0x{code - 0xDC00:02x} is not UTF-8"
        return f"\\u{code:04x} is half of a surrogate pair, which is no character"
    return None


def texts_record(number: int, texts: Sequence[str]) -> Record:
    """A record of decoded texts."""
    problem = next(filter(None, map(text_problem, texts)), None)
    return Record(number=number, texts=() if problem else tuple(texts), problem=problem)


def choose_columns(wanted: Sequence[str], names: Sequence[str], where: str) -> tuple[int, ...]:
    """The positions of the wanted columns of a table; of its only column if none is wanted.

    Raises:
        UserError: a column is missing or there twice, or none is wanted of several.
    """
    if not wanted and len(names) != 1:
        raise UserError(
            f"{where} has {len(names)} columns; choose the column of the texts with --column: {shown(names)}"
        )
    for column in wanted:
        if (count := list(names).count(column)) > 1:
            raise UserError(f"{where} has {count} columns '{column}'; rename all but one")
        if not count:
            raise UserError(f"{where} has no column '{column}'; {suggestion(column, names)}")
    return tuple(map(list(names).index, wanted)) if wanted else (0,)


_LISTED = 20  #: the most names in a message


def shown(names: Sequence[str]) -> str:
    """Names of columns in a message."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
