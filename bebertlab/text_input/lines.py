"""Lines of a stream of bytes, and texts that are one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from bebertlab.errors import UserError
from bebertlab.text_input.record import Record, texts_record

LONGEST_LINE = 2**26  #: bytes; a file without line ends must not fill the memory

_UTF8_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


class LineReader:
    """Lines with their ends, in UTF-8 with or without a byte order mark.

    Bytes that are not UTF-8 become surrogates, so that one wrong line does not end the stream; `text_problem` names
    them. Only a line feed ends a line.
    """

    def __init__(self, stream: BinaryIO, name: str, total: int | None = None) -> None:
        self.name = name
        self.total = total  #: bytes
        self.position = 0  #: bytes that have been read
        self.number = 0  #: of the last line, from 1
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        """All lines that have not been read.

        Raises:
            UserError: the encoding is another one, or a line is longer than `LONGEST_LINE`.
        """
        while line := self._stream.readline(LONGEST_LINE + 1):
            self.number += 1
            self.position += len(line)
            if len(line) > LONGEST_LINE:
                raise UserError(f"{self.name}, line {self.number}: longer than {LONGEST_LINE >> 20} MiB")
            if self.number == 1:
                self._check_mark(line)
                line = line.removeprefix(_UTF8_MARK)
            if line:
                yield line.decode("utf-8", errors="surrogateescape")

    def _check_mark(self, line: bytes) -> None:
        for mark, encoding in _OTHER_MARKS.items():
            if line.startswith(mark):
                raise UserError(f"{self.name} is {encoding}; save it as UTF-8")


class LineSource:
    """Each line is a text, blank lines included, so that line n of the output belongs to line n of the input."""

    unit = "line"

    def __init__(self, lines: LineReader) -> None:
        self.name, self.total = lines.name, lines.total
        self._lines = lines

    @property
    def position(self) -> int:
        """Bytes that have been read."""
        return self._lines.position

    def __iter__(self) -> Iterator[Record]:
        for line in self._lines:
            yield texts_record(self._lines.number, (without_end(line),))


def without_end(line: str) -> str:
    r"""A line without its end, `\n` or `\r\n`.

    >>> without_end("good film\r\n")
    'good film'
    """
    return line.removesuffix("\n").removesuffix("\r")
