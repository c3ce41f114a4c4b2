"""A result that is written while it is computed: to standard output, or to a file that appears when it is complete."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from bebertlab.errors import SetupError


class OutputFile:
    """A stream of text in UTF-8.

    What is written goes to FILE.part, which replaces FILE at the end of a `with` block without an error; so a file that
    is there is complete, and may be the one that is read. After an error FILE.part stays. A link stays one, devices and
    pipes are written directly.
    """

    def __init__(self, path: Path | None) -> None:
        """Write to a path; None: to standard output."""
        path = path.resolve() if path and path.is_symlink() else path
        self.path = path
        self.partial = path.with_name(f"{path.name}.part") if path and not _is_special(path) else None
        self._stream: BinaryIO | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along."""
        return self.path is None and sys.stdout.isatty()

    def write(self, text: str) -> None:
        """Write and flush, so that what is written is not lost."""
        if self._stream is None:
            raise RuntimeError("write is called outside the with block")
        # a lone surrogate in the name of a class becomes the same escape as in JSON
        self._stream.write(text.encode("utf-8", errors="backslashreplace"))
        self._stream.flush()

    def __enter__(self) -> Self:
        target = self.partial or self.path
        if target is None:
            self._stream = sys.stdout.buffer
            return self
        try:
            self._stream = target.open("wb")
        except OSError as error:
            raise SetupError(f"{target}: cannot be written: {error.strerror or error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.path is None or self._stream is None:
            return
        self._stream.close()
        if kind is None and self.partial is not None:
            os.replace(self.partial, self.path)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()
