"""Events from workers to the driver: a file for each job, to which its worker appends a line for each event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bebertlab.interfaces.events import StageEvent
from bebertlab.study.record import dump_event, load_event


def post(path: Path, event: StageEvent) -> None:
    """Append an event; what a worker does."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dump_event(event)) + "\n")


class Mailbox:
    """The files of the jobs that run; what the driver reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[int, int] = {}  # number of the trial to bytes that were read
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, number: int) -> Path:
        """The empty file for a trial."""
        path = self._path(number)
        path.write_bytes(b"")
        self._read[number] = 0
        return path

    def collect(self) -> Iterator[StageEvent]:
        """The events that came since the last time, by trial."""
        for number in list(self._read):
            yield from self._collect(number)

    def close(self, number: int) -> Iterator[StageEvent]:
        """The last events of a trial that ended."""
        yield from self._collect(number)
        del self._read[number]
        self._path(number).unlink()

    def _collect(self, number: int) -> Iterator[StageEvent]:
        with self._path(number).open("rb") as file:
            file.seek(self._read[number])
            text = file.read()
        whole = text.rfind(b"\n") + 1  # a worker may be writing the next line just now
        self._read[number] += whole
        for line in text[:whole].splitlines():
            yield load_event(json.loads(line))

    def _path(self, number: int) -> Path:
        return self._folder / f"t{number:03d}.jsonl"
