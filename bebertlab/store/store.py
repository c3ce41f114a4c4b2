"""The store of artifacts: one folder per key, complete or not there."""

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

from bebertlab.errors import SetupError
from bebertlab.formats import OtherFormat
from bebertlab.interfaces.stage import Artifact
from bebertlab.store.disk import make_folder
from bebertlab.store.manifest import (
    MANIFEST,
    CorruptArtifact,
    Manifest,
    check_files,
    describe_files,
    read_manifest,
    validated_metrics,
)
from bebertlab.store.states import StateFile

_log = logging.getLogger(__name__)

_LOCKS = "locks"
_TEMPORARY = "temporary"
_QUARANTINE = "quarantine"
_CACHE = "cache"
_STATES = "states"


class Claim:
    """The exclusive right to build one artifact, owned by one process at a time."""

    def __init__(self, store: Store, key: str, artifact: Artifact | None) -> None:
        self.key = key
        self.artifact = artifact  #: None until it is built
        self._store = store
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder to write the artifact into; empty at first, removed after the claim unless it was committed."""
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
        upstream_seconds: Mapping[str, float],
        warnings: Sequence[str] = (),
    ) -> Artifact:
        """Move the folder into the store; the arguments are those of the manifest."""
        manifest = Manifest(
            key=self.key,
            stage=stage,
            kind=kind,
            parts=parts,
            seconds=seconds,
            upstream_seconds=upstream_seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            metrics=validated_metrics(self.folder),
            warnings=tuple(warnings),
            files=describe_files(self.folder),
        )
        manifest.write(self.folder)
        self.artifact = self._store._keep(self.folder, manifest)
        self._store.state_path(self.key).unlink(missing_ok=True)
        return self.artifact

    def states(self, *, seconds: float) -> StateFile:
        """Keeps the state of the stage's training, saved every so many seconds; removed when the stage is finished."""
        return StateFile(
            self._store.state_path(self.key), self.key, lambda: self._store._new_folder(self.key), seconds=seconds
        )

    def _discard(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class Store:
    """Artifacts by key, in `<root>/<first two digits>/<key>/`.

    An artifact is written into a temporary folder of the same file system and then renamed, so that no process sees
    an incomplete one. It is checked against its manifest when a process first reads it; a corrupt one is moved to
    `quarantine/` and built again. Many processes may use a store at once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[str] = set()

    def folder(self, key: str) -> Path:
        """The folder of an artifact, whether it exists or not."""
        return self.root / key[:2] / key

    def state_path(self, key: str) -> Path:
        """The file with the state of a stage whose training is not finished, whether it exists or not."""
        return self.states / f"{key}.safetensors"

    def peek(self, key: str) -> Manifest | None:
        """The manifest of a key; None without one that can be read. Cheap: the files are not checked.

        Raises:
            OtherFormat: another version of bebertlab wrote it.
        """
        try:
            return read_manifest(self.folder(key))
        except CorruptArtifact:
            return None

    def get(self, key: str) -> Artifact | None:
        """The artifact of a key, checked once in the life of this object; None if there is none.

        A corrupt one is quarantined with a warning, unless another process is building it.

        Raises:
            OtherFormat: another version of bebertlab wrote it.
        """
        try:
            return self._read(key)
        except CorruptArtifact:
            pass
        try:
            with self.lock(key).acquire(blocking=False):
                return self._read_or_quarantine(key)
        except Timeout:
            return None

    @contextmanager
    def claim(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[Claim]:
        """Acquire the right to build an artifact; wait while another process has it (`waiting` is called once before).

        The other process may have built the artifact in the meantime: then the claim has it. Leftovers of a killed
        process are removed.

        Raises:
            OtherFormat: another version of bebertlab wrote the artifact.
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
            claim = Claim(self, key, self._read_or_quarantine(key))
            try:
                yield claim
            finally:
                claim._discard()
        finally:
            lock.release()

    def check_writable(self) -> None:
        """Check that artifacts can be written, before anything is computed.

        Raises:
            SetupError: a folder of the store cannot be created or written.
        """
        for folder in (self.root, self.locks, self.temporary):
            make_folder(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise SetupError(f"{folder}: cannot be written; change its permissions or choose another --work")

    def manifests(self) -> Iterator[Manifest]:
        """The manifests of all artifacts, by key; those that cannot be read are omitted, with a message."""
        other: list[OtherFormat] = []
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]/*/")):
            try:
                yield read_manifest(folder)
            except CorruptArtifact as error:
                _log.info("stored stage %s is corrupt: %s", folder.name[:12], error)
            except OtherFormat as error:
                other.append(error)
        if other:
            _log.warning("%d stored stages cannot be read, the first one: %s", len(other), other[0])

    def used(self, key: str) -> datetime:
        """When an artifact was last read or built."""
        return datetime.fromtimestamp((self.folder(key) / MANIFEST).stat().st_mtime, UTC)

    def lock(self, key: str) -> FileLock:
        """The lock of a key, not yet acquired."""
        make_folder(self.locks)
        return FileLock(self.locks / f"{key}.lock")

    @property
    def locks(self) -> Path:
        """One lock file for each key that was ever claimed."""
        return self.root / _LOCKS

    @property
    def temporary(self) -> Path:
        """Artifacts that are being built, and leftovers of killed processes."""
        return self.root / _TEMPORARY

    @property
    def quarantine(self) -> Path:
        """Corrupt artifacts."""
        return self.root / _QUARANTINE

    @property
    def states(self) -> Path:
        """States of trainings that are not finished."""
        return self.root / _STATES

    @property
    def cache(self) -> Path:
        """Data that are faster to read than to compute again, such as tokens; they may be deleted at any time."""
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

    def _read_or_quarantine(self, key: str) -> Artifact | None:
        """Read an artifact; the caller holds the lock of its key."""
        try:
            return self._read(key)
        except CorruptArtifact as error:
            _log.warning("stored stage %s is corrupt: %s; it is quarantined and built again", key[:12], error)
            self._checked.discard(key)
            self.quarantine.mkdir(parents=True, exist_ok=True)
            os.replace(self.folder(key), self.quarantine / _unique(key))
            return None

    def _keep(self, folder: Path, manifest: Manifest) -> Artifact:
        target = self.folder(manifest.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(folder, target)
        except OSError:
            if not target.is_dir():
                raise
            # another process was faster although this one had the lock; equal keys are equal artifacts
        self._checked.add(manifest.key)
        return _artifact(target, manifest)

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
        _log.debug("%s cannot be touched; `store gc --days` will count it as unused", path)


def _unique(key: str) -> str:
    return f"{key}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
