"""The manifest of an artifact: what it was built from, and which files it contains."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from bebertlab.files import parse_json
from bebertlab.formats import STORE_MANIFEST
from bebertlab.store.fingerprint import file_digest

MANIFEST = "manifest.json"
METRICS = "metrics.json"


class CorruptArtifact(Exception):
    """An artifact differs from what was stored."""


@frozen(kw_only=True)
class StoredFile:
    """A file of an artifact."""

    size: int  #: bytes
    sha256: str


@frozen(kw_only=True)
class Manifest:
    """The key, origin and files of an artifact."""

    key: str
    stage: str  #: name of the stage in the recipe that built it
    kind: str  #: kind of the stage
    parts: Mapping[str, Any]  #: what the key is the hash of
    seconds: float  #: that the build took
    upstream_seconds: Mapping[str, float] = field(factory=dict)  #: build times of all upstream stages, by key
    created: str = ""  #: ISO 8601, UTC
    metrics: Mapping[str, float] = field(factory=dict)  #: of its `metrics.json`
    warnings: tuple[str, ...] = ()  #: warnings of the stage about the artifact
    files: Mapping[str, StoredFile] = field(factory=dict)  #: by path in the folder, without the manifest

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of the artifact."""
        data = {"format": STORE_MANIFEST.number, **asdict(self)}
        (folder / MANIFEST).write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder.

    Raises:
        CorruptArtifact: it is missing, not JSON, or incomplete.
        OtherFormat: another version of bebertlab wrote it.
    """
    path = folder / MANIFEST
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
        number = data.pop("format")
    except FileNotFoundError:
        raise CorruptArtifact(f"{MANIFEST} is missing") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(error) from error
    STORE_MANIFEST.check(number, path)
    try:
        files = {name: StoredFile(**file) for name, file in data.pop("files").items()}
        manifest = Manifest(files=files, warnings=tuple(data.pop("warnings")), **data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(error) from error
    if manifest.key != folder.name:
        raise CorruptArtifact(f"{MANIFEST} belongs to {manifest.key[:12]}")
    return manifest


def _unreadable(error: Exception) -> CorruptArtifact:
    return CorruptArtifact(f"{MANIFEST} cannot be read ({error})")


def describe_files(folder: Path) -> dict[str, StoredFile]:
    """Size and hash of every file below a folder, without the manifest."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {
        path.relative_to(folder).as_posix(): StoredFile(size=path.stat().st_size, sha256=file_digest(path))
        for path in paths
    }


def validated_metrics(folder: Path) -> dict[str, float]:
    """The values of an artifact's `metrics.json`; empty without that file.

    Raises:
        ValueError: it is not a flat mapping of names to numbers.
    """
    path = folder / METRICS
    if not path.exists():
        return {}
    data = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not all(type(value) in (int, float) for value in data.values()):
        raise ValueError(f"{METRICS} must be a flat mapping of names to numbers")
    return {name: float(value) for name, value in data.items()}


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that every file is there, complete and unchanged.

    Raises:
        CorruptArtifact: names the first file that is not.
    """
    for name, file in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise CorruptArtifact(f"{name} is missing")
        if path.stat().st_size != file.size:
            raise CorruptArtifact(f"{name} has {path.stat().st_size} bytes, expected {file.size}")
        if file_digest(path) != file.sha256:
            raise CorruptArtifact(f"{name} does not have the checksum with which it was stored")
