from __future__ import annotations

import json
from pathlib import Path

import pytest

from bebertlab.formats import OtherFormat
from bebertlab.store.manifest import (
    CorruptArtifact,
    Manifest,
    check_files,
    describe_files,
    read_manifest,
    validated_metrics,
)

KEY = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / KEY
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights").write_bytes(b"12345")
    (folder / "metrics.json").write_text('{"select/score": 50}')
    manifest = Manifest(
        key=KEY,
        stage="teacher",
        kind="finetune",
        parts={"seed": 0},
        seconds=1.5,
        upstream_seconds={"cd" * 32: 2.0},
        metrics=validated_metrics(folder),
        files=describe_files(folder),
    )
    manifest.write(folder)
    return folder


def test_a_written_manifest_can_be_read(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (manifest.stage, manifest.kind, manifest.seconds) == ("teacher", "finetune", 1.5)
    assert manifest.metrics == {"select/score": 50.0}
    assert manifest.upstream_seconds == {"cd" * 32: 2.0}
    assert list(manifest.files) == ["metrics.json", "model/weights"]
    assert manifest.size == 5 + len('{"select/score": 50}')
    check_files(folder, manifest)


def test_a_truncated_file_is_named(folder: Path) -> None:
    (folder / "model" / "weights").write_bytes(b"123")
    with pytest.raises(CorruptArtifact, match="model/weights has 3 bytes, expected 5"):
        check_files(folder, read_manifest(folder))


def test_a_changed_file_is_named(folder: Path) -> None:
    (folder / "model" / "weights").write_bytes(b"12346")
    with pytest.raises(CorruptArtifact, match="model/weights does not have the checksum with which it was stored"):
        check_files(folder, read_manifest(folder))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model" / "weights").unlink()
    with pytest.raises(CorruptArtifact, match="model/weights is missing"):
        check_files(folder, read_manifest(folder))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 3}', '{"format": 3, "files": {"a": 3}}', "null"])
def test_an_invalid_manifest_is_corrupt(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(CorruptArtifact, match=r"manifest\.json"):
        read_manifest(folder)


@pytest.mark.parametrize(("number", "version"), [(2, "an older"), (4, "a newer")])
def test_a_manifest_of_another_format_is_refused(folder: Path, number: int, version: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": number}))
    with pytest.raises(OtherFormat, match=f"{version} bebertlab .format {number}, this version reads 3.; .*--work"):
        read_manifest(folder)


def test_the_manifest_of_another_key_is_corrupt(folder: Path) -> None:
    with pytest.raises(CorruptArtifact, match="belongs to abababababab"):
        read_manifest(folder.rename(folder.with_name("ef" * 32)))


@pytest.mark.parametrize("data", [[1], {"a": "b"}, {"a": {"b": 1}}, {"a": True}, {"a": None}])
def test_metrics_must_be_flat_numbers(tmp_path: Path, data: object) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"metrics\.json must be a flat mapping"):
        validated_metrics(tmp_path)
