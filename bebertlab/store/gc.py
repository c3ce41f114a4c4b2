"""Garbage collection: finding and removing what the store no longer needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen
from filelock import FileLock, Timeout

from bebertlab.formats import OVERLAP_CACHE, TOKEN_CACHE, OtherFormat
from bebertlab.store.manifest import CorruptArtifact, read_manifest
from bebertlab.store.states import UnusableState, read_state_header
from bebertlab.store.store import Store
from bebertlab.store.why import INPUTS

_INTERRUPTED = timedelta(hours=1)  #: age of an unfinished cache file after which its writer must be dead
_KEY = re.compile(r"[0-9a-f]{64}")
#: by the suffix of a file of the cache: why it is garbage if nothing reads it
_CACHED = {Path(TOKEN_CACHE.path).suffix: "unused tokens", Path(OVERLAP_CACHE.path).suffix: "unused overlap of splits"}


@frozen(kw_only=True)
class Garbage:
    """A folder, or a file of the cache, that can be removed."""

    path: Path
    key: str
    reason: str  #: e.g. "corrupt", "left by a killed run", "unused"
    size: int  #: bytes


def named_in_studies(studies: Path, store: Store) -> frozenset[str]:
    """Every key in the journal of a study, and the keys of all upstream stages."""
    named: set[str] = set()
    for journal in studies.glob("*/journal.log"):
        named |= set(_KEY.findall(journal.read_text(encoding="utf-8", errors="replace")))
    todo = sorted(named)
    while todo:
        inputs = _inputs(store, todo.pop())
        todo += inputs - named
        named |= inputs
    return frozenset(named)


def find_garbage(
    store: Store, *, days: float | None = None, named: frozenset[str] | None = None, now: datetime | None = None
) -> Iterator[Garbage]:
    """Corrupt artifacts and leftovers of killed processes; on request, artifacts that are not needed.

    An artifact is garbage if all given conditions hold: not read for `days`, not one of the `named` keys.
    """
    now = now or datetime.now(UTC)
    yield from (_garbage(path, "corrupt") for path in _folders(store.quarantine))
    yield from (_garbage(path, "left by a killed run") for path in _folders(store.temporary) if _is_free(store, path))
    yield from _cached(store, days, now)
    yield from _states(store, days, now)
    if days is None and named is None:
        return
    limit = now - timedelta(days=days or 0)
    for path in _folders(store.root, "[0-9a-f][0-9a-f]/*/"):
        old = days is None or _is_corrupt(path) or store.used(path.name) < limit
        if old and (named is None or path.name not in named):
            yield _garbage(path, "unused" if days is not None else "not part of a study")


def remove(store: Store, garbage: Garbage) -> bool:
    """Remove it; False if a process is using it."""
    if garbage.path.is_relative_to(store.cache):
        garbage.path.unlink(missing_ok=True)  # a process that needs it builds it again
        return True
    try:
        with store.lock(garbage.key).acquire(blocking=False):
            if garbage.path.parent == store.states:
                garbage.path.unlink(missing_ok=True)
                return True
            shutil.rmtree(_hidden(store, garbage.path), ignore_errors=True)
    except Timeout:
        return False
    return True


def remove_locks(store: Store) -> None:
    """Remove the lock files of keys that have no artifact and that no process holds."""
    for path in store.locks.glob("*.lock"):
        if store.folder(path.stem).exists():
            continue
        try:
            with FileLock(path).acquire(blocking=False):
                path.unlink(missing_ok=True)  # a waiting process notices that the file is gone, and creates it again
        except Timeout:
            continue


def _hidden(store: Store, path: Path) -> Path:
    """The folder, moved to a name that no process reads: an artifact is complete or not there."""
    if path.parent == store.temporary:
        return path
    store.temporary.mkdir(parents=True, exist_ok=True)
    target = store.temporary / f"{path.name}-removed"
    path.rename(target)
    return target


def _folders(folder: Path, pattern: str = "*/") -> list[Path]:
    return sorted(folder.glob(pattern))


def _cached(store: Store, days: float | None, now: datetime) -> Iterator[Garbage]:
    """Files of the cache: old unfinished ones, and on request those that were not read for `days`."""
    for file in sorted(store.cache.glob("*.*")):
        finished = file.suffix in _CACHED
        age = now - datetime.fromtimestamp(file.stat().st_mtime, UTC)
        if not finished and age > _INTERRUPTED:
            yield _cache_file(file, "left by a killed run")
        elif finished and days is not None and age > timedelta(days=days):
            yield _cache_file(file, _CACHED[file.suffix])


def _states(store: Store, days: float | None, now: datetime) -> Iterator[Garbage]:
    """States that nothing will continue from; on request those that nothing continued for `days`."""
    for file in sorted(store.states.glob("*.safetensors")):
        age = now - datetime.fromtimestamp(file.stat().st_mtime, UTC)
        reason = _useless(store, file)
        if reason is None and days is not None and age > timedelta(days=days):
            reason = "training not continued"
        if reason is not None:
            yield _cache_file(file, reason)


def _useless(store: Store, file: Path) -> str | None:
    """Why no training will continue from a state; None if one may."""
    if store.folder(file.stem).is_dir():
        return "state of a finished training"
    try:
        read_state_header(file, file.stem)
    except UnusableState:
        return "unusable state of a training"
    return None


def _cache_file(file: Path, reason: str) -> Garbage:
    return Garbage(path=file, key=file.name.partition(".")[0], reason=reason, size=file.stat().st_size)


def _garbage(path: Path, reason: str) -> Garbage:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Garbage(path=path, key=path.name.partition("-")[0], reason=reason, size=size)


def _is_free(store: Store, path: Path) -> bool:
    try:
        with store.lock(path.name.partition("-")[0]).acquire(blocking=False):
            return True
    except Timeout:
        return False


def _is_corrupt(folder: Path) -> bool:
    """Whether no version of bebertlab can read the manifest."""
    try:
        read_manifest(folder)
    except CorruptArtifact:
        return True
    except OtherFormat:
        pass
    return False


def _inputs(store: Store, key: str) -> set[str]:
    """The keys of the inputs of an artifact; none where its manifest cannot be read."""
    try:
        manifest = store.peek(key)
    except OtherFormat:
        return set()
    return set(_KEY.findall(repr(manifest.parts.get(INPUTS)))) if manifest else set()
