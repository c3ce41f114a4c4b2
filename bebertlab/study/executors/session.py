"""The files of a Ray session: a private folder that is removed however the driver ends, and the events of workers."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bebertlab.interfaces.events import StageEvent, trial_id
from bebertlab.study.messages import dump_event, load_event

PREFIX = "bebertlab-ray-"

_LONGEST_PARENT = 14  # characters; the path of a socket has at most 107, of which Ray and we take up to 93
_YOUNG_SECONDS = 60
_LOCK = "lock"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that no other user may read, in the folder for temporary files, or in /tmp where that path is long.

    Folders of drivers that were killed are removed first.
    """
    parent = Path(tempfile.gettempdir())
    if len(str(parent)) > _LONGEST_PARENT and Path("/tmp").is_dir():
        parent = Path("/tmp")
    for folder in parent.glob(f"{PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        with FileLock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether the driver that made a folder was killed: it does not hold the lock any more."""
    try:
        if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:  # its driver may be about to lock it
            return False
        with FileLock(folder / _LOCK, timeout=0):
            return True
    except (Timeout, OSError):  # the driver is alive, or is another user's
        return False


def append_event(path: Path, event: StageEvent) -> None:
    """Write an event for the driver; called by a worker."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dump_event(event)) + "\n")


class EventFiles:
    """A file for each running trial, to which its worker appends a line for each event; read by the driver."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[int, int] = {}  # number of the trial to bytes that were read
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, number: int) -> Path:
        """A new, empty file for a trial."""
        path = self._path(number)
        path.write_bytes(b"")
        self._offsets[number] = 0
        return path

    def read(self) -> Iterator[StageEvent]:
        """The events since the last call."""
        for number in list(self._offsets):
            yield from self._read(number)

    def close(self, number: int) -> Iterator[StageEvent]:
        """The last events of a trial that ended; its file is removed."""
        yield from self._read(number)
        del self._offsets[number]
        self._path(number).unlink()

    def _read(self, number: int) -> Iterator[StageEvent]:
        with self._path(number).open("rb") as file:
            file.seek(self._offsets[number])
            text = file.read()
        whole = text.rfind(b"\n") + 1  # the worker may still be writing the last line
        self._offsets[number] += whole
        for line in text[:whole].splitlines():
            yield load_event(json.loads(line))

    def _path(self, number: int) -> Path:
        return self._folder / f"{trial_id(number)}.jsonl"
