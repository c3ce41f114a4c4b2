"""Values of untrusted files in messages of one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bebertlab.errors import UserError

_LONGEST_VALUE = 80  #: characters
_LONGEST_MESSAGE = 400


def shown(value: object) -> str:
    """A value of a file in a message: without control characters, and no longer than a line.

    >>> shown("bert.pooler"), shown("a\\nb"), shown([1, 2])
    ('bert.pooler', "'a\\\\nb'", '[1, 2]')
    """
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return _shortened(text, _LONGEST_VALUE)


@contextmanager
def named(path: Path, part: str = "") -> Iterator[None]:
    """Put a file, and a part of it, before an error, and the error into one line of printable characters.

    An error that begins with the path, or with a file in that folder, names it already.
    """
    try:
        yield
    except UserError as error:
        lines = "; ".join(str(error).splitlines())
        text = "".join(letter if letter.isprintable() else "?" for letter in lines)
        where = f"{path}: {part}: " if part else f"{path}: "
        if text.startswith((where, f"{path}{os.sep}")):
            where = ""
        raise type(error)(where + _shortened(text, _LONGEST_MESSAGE)) from error


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} ..."
