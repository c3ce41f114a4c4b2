from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bebertlab.artifacts.digest import model_digest
from bebertlab.interfaces.stage import Artifact


@pytest.fixture
def folder(teacher: Artifact, tmp_path: Path) -> Path:
    return shutil.copytree(teacher.folder, tmp_path / "model")


def test_the_digest_is_that_of_the_model_and_its_tokenizer(folder: Path, teacher: Artifact) -> None:
    assert model_digest(folder) == model_digest(teacher.folder)
    for name in ("metrics.json", "logits.safetensors"):
        (folder / name).unlink()
    assert model_digest(folder) == model_digest(teacher.folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_every_file_of_it_counts(folder: Path, teacher: Artifact, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert model_digest(folder) != model_digest(teacher.folder)


def test_shards_count_whatever_their_names(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "odd.part")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "odd.part"}}')
    before = model_digest(folder)
    (folder / "pytorch_model.bin").write_bytes(b"not read where there are safetensors")
    assert model_digest(folder) == before
    (folder / "odd.part").write_bytes(b"others")
    assert model_digest(folder) != before


def test_a_file_more_is_another_model(folder: Path, teacher: Artifact) -> None:
    (folder / "bebertlab.json").write_text("{}")
    assert model_digest(folder) != model_digest(teacher.folder)


def test_a_file_that_changed_is_read_again(folder: Path) -> None:
    before = model_digest(folder)
    (folder / "config.json").write_text("{}")
    changed = model_digest(folder)
    assert changed != before
    state = (folder / "config.json").stat()
    (folder / "config.json").write_text("[]")  # as long as before
    os.utime(folder / "config.json", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert model_digest(folder) not in (before, changed)
