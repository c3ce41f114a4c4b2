"""The progress of a stream of texts on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TextProgress:
    """A bar on the error stream if that is a terminal; otherwise nothing. A context manager."""

    def __init__(self, total: int | None, stream: TextIO | None = None, *, hidden: bool = False) -> None:
        """Show the share of `total`, in any unit; `hidden`: nothing, since the terminal shows the texts themselves."""
        console = Console(file=stream, stderr=stream is None)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            *(() if total is None else (TextColumn("{task.percentage:>3.0f}%"),)),
            TextColumn("{task.fields[texts]:,} texts"),
            TimeElapsedColumn(),
            *(() if total is None else (TextColumn("left:"), TimeRemainingColumn())),
            console=console,
            transient=True,
            disable=hidden or not console.is_terminal or console.is_dumb_terminal,
        )
        self._task = self._progress.add_task("texts", total=total, texts=0)

    def update(self, position: int, texts: int) -> None:
        """Show how much of the total has been read, and how many texts are done."""
        self._progress.update(self._task, completed=position, texts=texts)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
