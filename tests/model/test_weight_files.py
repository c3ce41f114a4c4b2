from __future__ import annotations

import json
from pathlib import Path

import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.model.weight_files import WEIGHTS, shard_of_names, weight_files

INDEX = "model.safetensors.index.json"


def write_files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"weight_map": {"a": "b-shard", "b": "a-shard"}}) if "index" in name else "")


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in weight_files(folder)]


def test_the_first_existing_format_is_read_as_in_transformers(tmp_path: Path) -> None:
    write_files(tmp_path, *WEIGHTS, "a-shard", "b-shard", "model-00001-of-00002.safetensors")
    assert names(tmp_path) == ["model.safetensors"]
    (tmp_path / "model.safetensors").unlink()
    assert names(tmp_path) == [INDEX, "a-shard", "b-shard"]
    (tmp_path / INDEX).unlink()
    assert names(tmp_path) == ["pytorch_model.bin"]
    (tmp_path / "pytorch_model.bin").unlink()
    assert names(tmp_path) == ["pytorch_model.bin.index.json", "a-shard", "b-shard"]


def test_a_weight_file_or_index_can_be_named_directly(tmp_path: Path) -> None:
    write_files(tmp_path, INDEX, "a-shard", "b-shard", "alone.pt")
    assert weight_files(tmp_path / "alone.pt") == (tmp_path / "alone.pt",)
    assert weight_files(tmp_path / INDEX) == weight_files(tmp_path)
    with pytest.raises(SetupError, match=r"none\.bin: no such file"):
        weight_files(tmp_path / "none.bin")


def test_links_into_another_folder_are_followed(tmp_path: Path) -> None:
    write_files(tmp_path / "blobs", "0", "1")
    write_files(tmp_path / "snapshot", INDEX)
    for position, name in enumerate(("a-shard", "b-shard")):
        (tmp_path / "snapshot" / name).symlink_to(f"../blobs/{position}")
    assert names(tmp_path / "snapshot") == [INDEX, "a-shard", "b-shard"]


def test_a_folder_without_weights_lists_its_files(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no model\.safetensors \(nor .*pytorch_model\.bin\.index\.json\)$"):
        weight_files(tmp_path)
    write_files(tmp_path, "tf_model.h5", "adapter_model.bin")
    with pytest.raises(SetupError, match=r"; adapter_model\.bin, tf_model\.h5 cannot be read$"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"metadata": {}}', "not an index of shards (weight_map is missing); fetch it again"),
        ('{"weight_map": null}', "not an index of shards (weight_map is missing); fetch it again"),
        ('{"weight_map": ["a"]}', "not an index of shards (weight_map is not a mapping of tensors to files); fetch"),
        ('{"weight_map": {}}', "not an index of shards (weight_map is not a mapping of tensors to files); fetch"),
        ("[]", "not an index of shards (expected a JSON object, found list); fetch it again"),
        ('{"weight_map": {"a"', "not an index of shards (not valid JSON: "),
        ('{"weight_map": {"a": "x", "a": "y"}}', "not an index of shards (not valid JSON: duplicate key 'a')"),
        ('{"weight_map": {"a": "../a-shard"}}', "a is in '../a-shard', which is not a file of this folder; fetch it"),
        ('{"weight_map": {"a": "b/../../a-shard"}}', "a is in 'b/../../a-shard', which is not a file of this folder"),
        ('{"weight_map": {"a": "/etc/hosts"}}', "a is in '/etc/hosts', which is not a file of this folder"),
        ('{"weight_map": {"a": "."}}', "a is in '.', which is not a file of this folder"),
        ('{"weight_map": {"a": 1}}', "a is in 1, which is not a file of this folder"),
        ('{"weight_map": {"a": ["a-shard"]}}', "a is in ['a-shard'], which is not a file of this folder"),
        ('{"weight_map": {"a": ""}}', "a is in '', which is not a file of this folder"),
        ('{"weight_map": {"a\\nb": "/a"}}', r"'a\nb' is in '/a', which is not a file of this folder"),
        ('{"weight_map": {"a": "a\\nb"}}', r"a is in 'a\nb', which is not a file of this folder"),
        ('{"weight_map": {"a": "a\\u0000b"}}', "a is in 'a\\x00b', which is not a file of this folder"),
    ],
)
def test_a_damaged_index_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    write_files(tmp_path, "a-shard")
    index = tmp_path / INDEX
    index.write_text(content)
    with pytest.raises(UserError) as raised:
        weight_files(tmp_path)
    assert str(raised.value).startswith(f"{index}: {message}")
    assert (raised.value.exit_code, len(str(raised.value).splitlines())) == (2, 1)


def test_missing_shards_and_pointers_are_setup_errors(tmp_path: Path) -> None:
    write_files(tmp_path, INDEX, "a-shard")
    with pytest.raises(SetupError, match="b-shard: no such file"):
        weight_files(tmp_path)
    (tmp_path / "b-shard").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SetupError, match=r"b-shard is a git-lfs pointer"):
        weight_files(tmp_path)
    (tmp_path / INDEX).write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SetupError, match=r"index\.json is a git-lfs pointer"):
        shard_of_names(tmp_path / INDEX)
