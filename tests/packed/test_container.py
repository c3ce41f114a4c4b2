from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bebertlab.errors import SetupError, UserError
from bebertlab.packed.container import read_contained, read_container, write_container
from tests.packed.conftest import write_raw

TENSORS: dict[str, Any] = {
    "planes": np.arange(24, dtype=np.uint8).reshape(1, 3, 8),
    "flag": np.array(True),
    "scale": np.array([[0.5], [2.0]], dtype=np.float32),
    "none": np.zeros((0, 4), dtype=np.float32),
    "count": np.array(7, dtype=np.int64),
}


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "U8", "shape": [2], "data_offsets": [0, 2], **changes}


def test_the_package_safetensors_reads_what_is_written(tmp_path: Path) -> None:
    size = write_container(TENSORS, {"format": "x"}, tmp_path / "file")
    assert size == (tmp_path / "file").stat().st_size
    loaded = load_file(tmp_path / "file")
    assert loaded.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_what_the_package_safetensors_writes_is_read(tmp_path: Path) -> None:
    save_file({name: np.asarray(array) for name, array in TENSORS.items()}, tmp_path / "file", {"a": "b"})
    container = read_container(tmp_path / "file", tmp_path)
    assert container.metadata == {"a": "b"}
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(container.tensors[name], array, strict=True)


def test_equal_tensors_make_equal_files(tmp_path: Path) -> None:
    write_container(TENSORS, {"a": "1", "b": "2"}, tmp_path / "first")
    write_container(dict(reversed(TENSORS.items())), {"b": "2", "a": "1"}, tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (b"[]", "expected a JSON object"),
        (b"{", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a":' * 100_000, "not valid JSON"),
        ({"__metadata__": {"a": 1}}, "no object of texts"),
        ({"__metadata__": []}, "no object of texts"),
        ({"a": []}, "expected an object with dtype, shape and data_offsets"),
        ({"a": {**entry(), "more": 1}}, "expected an object with dtype, shape and data_offsets"),
        ({"a": entry(dtype="F8_E5M2")}, "a is of type F8_E5M2; expected one of"),
        ({"a": entry(dtype=["U8"])}, "expected one of"),
        ({"a": entry(shape=[True, 2])}, "has shape"),
        ({"a": entry(shape=[-1, -2])}, "has shape"),
        ({"a": entry(shape=[2.0])}, "has shape"),
        ({"a": entry(shape=2)}, "has shape"),
        ({"a": entry(shape=[1] * 60 + [2])}, "has shape"),
        ({"a": entry(shape=[10**30, 10**30])}, "has 2 bytes, its shape and type need"),
        ({"a": entry(shape=[3])}, "has 2 bytes, its shape and type need 3"),
        ({"a": entry(data_offsets=[0, 2, 4])}, "expected where it begins and ends"),
        ({"a": entry(data_offsets=[-2, 0])}, "expected where it begins and ends"),
        ({"a": entry(data_offsets=[2, 0])}, "has -2 bytes"),
        ({"a": entry(data_offsets=[1, 3])}, "begins at byte 1, the tensor before it ends at 0"),
        ({"a": entry(), "b": entry()}, "begins at byte 0, the tensor before it ends at 2"),
        ({"a": entry(), "b": entry(data_offsets=[2, 4])}, "end at byte 4 after the header, the file at 2"),
        ({}, "end at byte 0 after the header, the file at 2"),
        ({"a": entry(shape=[0], data_offsets=[0, 0])}, "the file at 2"),
    ],
)
def test_a_header_that_is_wrong_is_refused(header: Any, error: str, tmp_path: Path) -> None:  # noqa: ANN401
    write_raw(header, b"\0\0", tmp_path / "file")
    with pytest.raises(UserError) as caught:
        read_container(tmp_path / "file", tmp_path)
    assert error in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_a_tensor_that_is_not_aligned_is_refused(tmp_path: Path) -> None:
    header = {"a": entry(shape=[1], data_offsets=[0, 1]), "b": entry(dtype="F32", shape=[1], data_offsets=[1, 5])}
    write_raw(header, b"\0" * 5, tmp_path / "file")
    with pytest.raises(UserError, match="b begins at byte 1, not a multiple of 4"):
        read_container(tmp_path / "file", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x02", b"\xff" * 8, b"\xff" * 64, b"\x00" * 64, b"\x08" + b"\0" * 7 + b"{"])
def test_a_length_that_is_wrong_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file") as caught:
        read_container(tmp_path / "file", tmp_path)
    assert ("expected at least 8" in str(caught.value)) == (len(content) < 8)


def test_a_name_that_is_no_text_of_one_line_is_shown_escaped(tmp_path: Path) -> None:
    write_raw({"a\n\x1b[31m" * 100: 1}, b"", tmp_path / "file")
    with pytest.raises(UserError) as caught:
        read_container(tmp_path / "file", tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "inside").write_bytes(b"y")
    (folder / "good").symlink_to("inside")
    (folder / "bad").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    assert read_contained(folder / "good", folder).tobytes() == b"y"
    with pytest.raises(UserError, match="outside of the folder"):
        read_contained(folder / "bad", folder)
    with pytest.raises(SetupError, match="cannot be read"):
        read_contained(folder / "loop", folder)
    with pytest.raises(SetupError, match="no such file"):
        read_contained(folder / "missing", folder)


def test_links_of_the_cache_of_the_hub_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "models--a--b" / "snapshots" / "123"
    folder.mkdir(parents=True)
    (tmp_path / "models--a--b" / "blobs").mkdir()
    (tmp_path / "models--a--b" / "blobs" / "456").write_bytes(b"y")
    (folder / "file").symlink_to("../../blobs/456")
    assert read_contained(folder / "file", folder).tobytes() == b"y"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UserError, match="no regular file"):
            read_contained(tmp_path / name, tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**40)  # a sparse file takes no space on the disk
    with pytest.raises(UserError, match="expected at most 1000"):
        read_contained(tmp_path / "file", tmp_path, 1000)
