"""The store of artifacts: a folder for each key, made whole or not at all."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bebertlab.interfaces.stage import Artifact
from bebertlab.store.disk import make_folder
from bebertlab.store.manifest import (
    MANIFEST,
    Damage,
    Manifest,
    check_files,
    describe_files,
    read_manifest,
    validated_metrics,
)

_log = logging.getLogger(__name__)

_LOCKS = "locks"
_TEMPORARY = "temporary"
_QUARANTINE = "quarantine"
_CACHE = "cache"


class Claim:
    """The right to make one artifact, held by one process at a time."""

    def __init__(self, store: Store, key: str, artifact: Artifact | None) -> None:
        self.key = key
        self.artifact = artifact  #: None until it is there
        self._store = store
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder to write the artifact into; empty at first, gone after the claim unless it was committed."""
        if self._folder is None:
            self._folder = self._store._new_folder(self.key)
        return self._folder

    def commit(
        self,
        *,
        stage: str,
        kind: str,
        parts: Mapping[str, Any],
        seconds: float,
        behind: Mapping[str, float],
        warnings: Sequence[str] = (),
    ) -> Artifact:
        """Put the folder into the store; the arguments are those of the manifest."""
        manifest = Manifest(
            key=self.key,
            stage=stage,
            kind=kind,
            parts=parts,
            seconds=seconds,
            behind=behind,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            metrics=validated_metrics(self.folder),
            warnings=tuple(warnings),
            files=describe_files(self.folder),
        )
        manifest.write(self.folder)
        self.artifact = self._store._keep(self.folder, manifest)
        return self.artifact

    def _discard(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class Store:
    """Artifacts by key, in `<root>/<first two digits>/<key>/`.

    An artifact is written into a temporary folder of the same file system and renamed, so that nobody ever sees half
    of one. It is checked against its manifest when a process first reads it; a damaged one is moved to `quarantine/`
    and counts as not there. A store may be used by many processes at once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[str] = set()

    def folder(self, key: str) -> Path:
        """Where the artifact of a key is or would be."""
        return self.root / key[:2] / key

    def peek(self, key: str) -> Manifest | None:
        """What the manifest of a key says, unchecked and cheap; None where there is none that can be read."""
        try:
            return read_manifest(self.folder(key))
        except Damage:
            return None

    def get(self, key: str) -> Artifact | None:
        """The artifact of a key, checked once in the life of this object; None where there is none.

        A damaged one is set aside with a warning, unless another process is at work on it.
        """
        try:
            return self._read(key)
        except Damage:
            pass
        try:
            with self.lock(key).acquire(blocking=False):
                return self._read_or_set_aside(key)
        except Timeout:
            return None

    @contextmanager
    def claim(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[Claim]:
        """Hold the right to make an artifact; wait for it where another process has it (`waiting` is told once).

        The other one may have made the artifact meanwhile: then the claim has it. What a killed process left is
        removed.
        """
        lock = self.lock(key)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            lock.acquire()
        try:
            for folder in self._leftovers(key):
                shutil.rmtree(folder, ignore_errors=True)
            claim = Claim(self, key, self._read_or_set_aside(key))
            try:
                yield claim
            finally:
                claim._discard()
        finally:
            lock.release()

    def manifests(self) -> Iterator[Manifest]:
        """The manifests of all artifacts, by key; those that cannot be read are left out."""
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]/*/")):
            manifest = self.peek(folder.name)
            if manifest is not None:
                yield manifest

    def used(self, key: str) -> datetime:
        """When an artifact was last read or made."""
        return datetime.fromtimestamp((self.folder(key) / MANIFEST).stat().st_mtime, UTC)

    def lock(self, key: str) -> FileLock:
        """The lock of a key, not yet taken."""
        make_folder(self.locks)
        return FileLock(self.locks / f"{key}.lock")

    @property
    def locks(self) -> Path:
        """One lock file for each key that was ever claimed."""
        return self.root / _LOCKS

    @property
    def temporary(self) -> Path:
        """Artifacts that are being made, and what killed processes left of theirs."""
        return self.root / _TEMPORARY

    @property
    def quarantine(self) -> Path:
        """Damaged artifacts that were set aside."""
        return self.root / _QUARANTINE

    @property
    def cache(self) -> Path:
        """What is quicker to read than to make again, such as tokens; it may go at any time."""
        return self.root / _CACHE

    def _read(self, key: str) -> Artifact | None:
        folder = self.folder(key)
        if not folder.is_dir():
            return None
        manifest = read_manifest(folder)
        if key not in self._checked:
            check_files(folder, manifest)
            self._checked.add(key)
            _touch(folder / MANIFEST)
        return _artifact(folder, manifest)

    def _read_or_set_aside(self, key: str) -> Artifact | None:
        """With the lock of the key held."""
        try:
            return self._read(key)
        except Damage as damage:
            _log.warning("%s in the store is damaged: %s; it is set aside and made again", key[:12], damage)
            self._checked.discard(key)
            self.quarantine.mkdir(parents=True, exist_ok=True)
            os.replace(self.folder(key), self.quarantine / _unique(key))
            return None

    def _keep(self, folder: Path, manifest: Manifest) -> Artifact:
        place = self.folder(manifest.key)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(folder, place)
        except OSError:
            if not place.is_dir():
                raise
            # somebody broke the lock and was quicker; the same key is the same artifact
        self._checked.add(manifest.key)
        return _artifact(place, manifest)

    def _new_folder(self, key: str) -> Path:
        folder = self.temporary / _unique(key)
        folder.mkdir(parents=True)
        return folder

    def _leftovers(self, key: str) -> list[Path]:
        return list(self.temporary.glob(f"{key}-*"))


def _artifact(folder: Path, manifest: Manifest) -> Artifact:
    return Artifact(stage=manifest.stage, key=manifest.key, folder=folder, seconds=manifest.seconds)


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        _log.debug("%s cannot be touched; `store gc --days` will think it unused", path)


def _unique(key: str) -> str:
    return f"{key}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
