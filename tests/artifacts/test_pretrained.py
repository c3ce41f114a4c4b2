from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from bebertlab.artifacts.model import model_digest, model_files
from bebertlab.artifacts.pretrained import pretrained_folder
from bebertlab.errors import SetupError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    from huggingface_hub import constants

    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    return folder


def store(cache: Path, name: str, source: Path) -> None:
    model = cache / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0123abcd")
    shutil.copytree(source, model / "snapshots" / "0123abcd")


def test_a_local_folder_is_returned_unchanged(pretrained: Path) -> None:
    assert pretrained_folder(str(pretrained), download=False) == pretrained


def test_a_cached_model_loads_offline(pretrained: Path, cache: Path) -> None:
    store(cache, "some/bert", pretrained)
    for download in (False, True):
        folder = pretrained_folder("some/bert", download=download)
        assert model_digest(folder) == model_digest(pretrained)


def test_nothing_is_downloaded_by_default(cache: Path) -> None:
    with pytest.raises(SetupError, match=r"not in the local hub cache.*`download: true`"):
        pretrained_folder("some/bert", download=False)


def test_an_unreachable_hub_is_reported_at_once(pretrained: Path, cache: Path) -> None:
    (pretrained / "model.safetensors").unlink()
    store(cache, "some/bert", pretrained)  # incomplete models are ignored
    start = time.monotonic()
    with pytest.raises(SetupError, match=r"'some/bert': cannot reach the hub http://127\.0\.0\.1:9"):
        pretrained_folder("some/bert", download=True)
    assert time.monotonic() - start < 5


def test_offline_mode_is_respected(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SetupError, match="HF_HUB_OFFLINE is set"):
        pretrained_folder("some/bert", download=True)


@pytest.mark.parametrize("name", ["./no/such/folder", "a b"])
def test_a_missing_folder_is_not_treated_as_a_hub_id(name: str, cache: Path) -> None:
    with pytest.raises(SetupError, match="no such folder, and not a hub id"):
        pretrained_folder(name, download=True)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_missing_file_is_named(pretrained: Path, name: str) -> None:
    (pretrained / name).unlink()
    with pytest.raises(SetupError, match=f"has no {name}"):
        pretrained_folder(str(pretrained), download=False)


def test_the_digest_depends_on_every_model_file_and_on_no_other(pretrained: Path) -> None:
    names = [path.name for path in model_files(pretrained)]
    assert names == ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    before = model_digest(pretrained)
    (pretrained / "README.md").write_text("changed")
    (pretrained / "pytorch_model.bin").write_bytes(b"not read where safetensors are")
    assert model_digest(pretrained) == before
    for name in names:
        path = pretrained / name
        old = path.read_bytes()
        path.write_bytes(old + b" ")
        assert model_digest(pretrained) != before
        path.write_bytes(old)
    assert model_digest(pretrained) == before


def test_shards_with_any_name_are_part_of_the_model(pretrained: Path) -> None:
    (pretrained / "model.safetensors").rename(pretrained / "odd.safetensors")
    (pretrained / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "odd.safetensors"}}))
    (pretrained / "model-00001-of-00002.safetensors").write_bytes(b"not in the index, so it is not read")
    assert [path.name for path in model_files(pretrained)][1:3] == ["model.safetensors.index.json", "odd.safetensors"]
    before = model_digest(pretrained)
    (pretrained / "odd.safetensors").write_bytes(b"others")
    assert model_digest(pretrained) != before


def test_a_cached_model_that_lacks_a_shard_is_fetched_again_where_that_is_allowed(
    pretrained: Path, cache: Path
) -> None:
    (pretrained / "model.safetensors").unlink()
    (pretrained / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "odd.safetensors"}}))
    store(cache, "some/bert", pretrained)
    with pytest.raises(SetupError, match=r"odd\.safetensors: no such file"):
        pretrained_folder("some/bert", download=False)
    with pytest.raises(SetupError, match="cannot reach the hub"):
        pretrained_folder("some/bert", download=True)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"])
def test_pointers_of_git_lfs_are_refused(pretrained: Path, name: str) -> None:
    (pretrained / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(SetupError, match=f"{name} is a git-lfs pointer"):
        pretrained_folder(str(pretrained), download=False)
