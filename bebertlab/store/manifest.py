"""The manifest of an artifact: what it was made of, and which files it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from bebertlab.store.fingerprint import file_digest

MANIFEST = "manifest.json"
METRICS = "metrics.json"

_FORMAT = 2


class Damage(Exception):
    """An artifact is not what was put into the store."""


@frozen(kw_only=True)
class StoredFile:
    """A file of an artifact."""

    size: int  #: bytes
    sha256: str


@frozen(kw_only=True)
class Manifest:
    """What is known of an artifact."""

    key: str
    stage: str  #: name of the stage in the recipe that made it
    kind: str  #: kind of the stage
    parts: Mapping[str, Any]  #: what the key is the hash of
    seconds: float  #: what making it took
    behind: Mapping[str, float] = field(factory=dict)  #: seconds of every stage that it was made from, by key
    created: str = ""  #: ISO 8601, UTC
    metrics: Mapping[str, float] = field(factory=dict)  #: of its `metrics.json`
    warnings: tuple[str, ...] = ()  #: what the stage said that users must know of the result
    files: Mapping[str, StoredFile] = field(factory=dict)  #: by path in the folder, the manifest left out

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of the artifact."""
        data = {"format": _FORMAT, **asdict(self)}
        (folder / MANIFEST).write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder.

    Raises:
        Damage: it is missing, no JSON, or lacks something.
    """
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if data.pop("format") != _FORMAT:
            raise Damage(f"{MANIFEST} is of another format")
        files = {path: StoredFile(**file) for path, file in data.pop("files").items()}
        warnings = tuple(data.pop("warnings"))
        manifest = Manifest(files=files, warnings=warnings, **data)
    except FileNotFoundError:
        raise Damage(f"{MANIFEST} is missing") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damage(f"{MANIFEST} cannot be read ({error})") from error
    if manifest.key != folder.name:
        raise Damage(f"{MANIFEST} is that of {manifest.key[:12]}")
    return manifest


def describe_files(folder: Path) -> dict[str, StoredFile]:
    """Size and hash of every file below a folder, the manifest left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {
        path.relative_to(folder).as_posix(): StoredFile(size=path.stat().st_size, sha256=file_digest(path))
        for path in paths
    }


def validated_metrics(folder: Path) -> dict[str, float]:
    """The numbers of an artifact's `metrics.json`; none where it has none.

    Raises:
        ValueError: it is not a flat mapping of names to numbers.
    """
    path = folder / METRICS
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not all(type(value) in (int, float) for value in data.values()):
        raise ValueError(f"{METRICS} must be a flat mapping of names to numbers")
    return {name: float(value) for name, value in data.items()}


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that every file is there, whole and unchanged.

    Raises:
        Damage: names the first file that is not.
    """
    for name, file in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Damage(f"{name} is missing")
        if path.stat().st_size != file.size:
            raise Damage(f"{name} has {path.stat().st_size} bytes instead of {file.size}")
        if file_digest(path) != file.sha256:
            raise Damage(f"{name} has a wrong checksum")
