"""Ctrl-C: at once, or at the end of a block that must not be cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """SIGINT and SIGTERM raise KeyboardInterrupt: at once, or at the end of a `shielded` block or its next `check`.

    A second signal does not wait for the end of the block.
    """

    def __init__(self) -> None:
        self.pending = False
        self._depth = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def renew(self) -> None:
        """Install the handlers again after a library replaced them."""
        self._install()

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """A block that a first signal does not interrupt."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if not self._depth:
            self.check()

    def check(self) -> None:
        """Raise for a pending signal.

        Raises:
            KeyboardInterrupt: a signal came since the last check.
        """
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def _install(self) -> dict[signal.Signals, Any]:
        # Python lets only the main thread set handlers, and only there does a signal interrupt anything
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._handle) for number in _SIGNALS}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._depth and not self.pending:
            self.pending = True
        else:
            self.pending = False
            raise KeyboardInterrupt
