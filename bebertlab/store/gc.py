"""What nobody needs any more, and how to be rid of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen
from filelock import FileLock, Timeout

from bebertlab.store.store import Store
from bebertlab.store.why import INPUTS

_HALF_WRITTEN = timedelta(hours=1)  # nobody writes tokens for as long
_KEY = re.compile(r"[0-9a-f]{64}")


@frozen(kw_only=True)
class Garbage:
    """A folder, or a file of the cache, that can go."""

    path: Path
    key: str
    what: str  #: e.g. "damaged", "left by a killed run", "unused"
    size: int  #: bytes


def named_in_studies(studies: Path, store: Store) -> frozenset[str]:
    """Every key that the journal of a study names, and those it was made from."""
    named: set[str] = set()
    for journal in studies.glob("*/journal.log"):
        named |= set(_KEY.findall(journal.read_text(encoding="utf-8", errors="replace")))
    todo = sorted(named)
    while todo:
        manifest = store.peek(todo.pop())
        behind = _inputs(manifest.parts.get(INPUTS)) if manifest else set()
        todo += behind - named
        named |= behind
    return frozenset(named)


def find_garbage(
    store: Store, *, days: float | None = None, named: frozenset[str] | None = None, now: datetime | None = None
) -> Iterator[Garbage]:
    """Damaged artifacts and leftovers of killed processes; on demand, artifacts that are not needed.

    An artifact goes if all of the given conditions hold: not read for `days`, not one of the `named` keys.
    """
    yield from (_rubbish(path, "damaged") for path in _folders(store.quarantine))
    yield from (_rubbish(path, "left by a killed run") for path in _folders(store.temporary) if _is_free(store, path))
    yield from _cached(store, days, now or datetime.now(UTC))
    if days is None and named is None:
        return
    limit = (now or datetime.now(UTC)) - timedelta(days=days or 0)
    for path in _folders(store.root, "[0-9a-f][0-9a-f]/*/"):
        old = days is None or store.peek(path.name) is None or store.used(path.name) < limit
        if old and (named is None or path.name not in named):
            yield _rubbish(path, "unused" if days is not None else "not part of a study")


def remove(store: Store, rubbish: Garbage) -> bool:
    """Remove it; False where a process is at work on it."""
    if rubbish.path.is_relative_to(store.cache):
        rubbish.path.unlink(missing_ok=True)  # who needs it makes it again
        return True
    try:
        with store.lock(rubbish.key).acquire(blocking=False):
            shutil.rmtree(_hidden(store, rubbish.path), ignore_errors=True)
    except Timeout:
        return False
    return True


def remove_locks(store: Store) -> None:
    """Remove the lock files of keys that have no artifact and that nobody holds."""
    for path in store.locks.glob("*.lock"):
        if store.folder(path.stem).exists():
            continue
        try:
            with FileLock(path).acquire(blocking=False):
                path.unlink(missing_ok=True)  # who waits for it sees that the file is gone, and makes a new one
        except Timeout:
            continue


def _hidden(store: Store, path: Path) -> Path:
    """The folder under a name that nobody looks for: a process sees an artifact whole or not at all."""
    if path.parent == store.temporary:
        return path
    store.temporary.mkdir(parents=True, exist_ok=True)
    place = store.temporary / f"{path.name}-removed"
    path.rename(place)
    return place


def _folders(folder: Path, pattern: str = "*/") -> list[Path]:
    return sorted(folder.glob(pattern))


def _cached(store: Store, days: float | None, now: datetime) -> Iterator[Garbage]:
    """Files of the cache: half written ones of an hour ago, and on demand those that were not read for `days`."""
    for file in sorted(store.cache.glob("*.*")):
        whole = file.suffix == ".safetensors"
        age = now - datetime.fromtimestamp(file.stat().st_mtime, UTC)
        if not whole and age > _HALF_WRITTEN:
            yield _file(file, "left by a killed run")
        elif whole and days is not None and age > timedelta(days=days):
            yield _file(file, "unused tokens")


def _file(file: Path, what: str) -> Garbage:
    return Garbage(path=file, key=file.name.partition(".")[0], what=what, size=file.stat().st_size)


def _rubbish(path: Path, what: str) -> Garbage:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Garbage(path=path, key=path.name.partition("-")[0], what=what, size=size)


def _is_free(store: Store, path: Path) -> bool:
    try:
        with store.lock(path.name.partition("-")[0]).acquire(blocking=False):
            return True
    except Timeout:
        return False


def _inputs(parts: object) -> set[str]:
    return set(_KEY.findall(repr(parts)))
