from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.errors import EnvironmentFault, UserError
from bebertlab.files import check_file, read_json

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:9c16\nsize 440449768\n"


def test_a_pointer_of_git_lfs_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text(POINTER)
    words = "is a pointer of git-lfs, not the file itself; run `git lfs pull` there, or fetch it again"
    for read in (check_file, read_json):
        with pytest.raises(EnvironmentFault) as raised:
            read(path)
        assert str(raised.value) == f"{path} {words}"
    path.write_text("version 2")
    check_file(path)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / ("long" * 100)):
        with pytest.raises(EnvironmentFault) as raised:
            check_file(path)
        assert str(raised.value).startswith(f"{path}: ")


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"ä": {"b": [1]}}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"ä": {"b": [1]}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON: "),
        (b'{"a": ', "not valid JSON: "),
        (b"<html>", "not valid JSON: "),
        (b"[]", "a JSON object is needed, found list"),
        (b"[" * 100_000, "not valid JSON: "),
        ("\ufeff{}".encode(), "not valid JSON: it begins with a byte order mark; save it as UTF-8 without one"),
        ("{}".encode("utf-16"), "not valid JSON: byte 0 is not UTF-8"),
        (b'{"a": "\xe4"}', "not valid JSON: byte 7 is not UTF-8"),
        (b'{"b": {"a": 1, "a": 1}}', "not valid JSON: the key 'a' is there twice"),
    ],
)
def test_what_is_no_object_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_json(path)
    assert str(raised.value).startswith(f"{path}: {words}")
    assert (raised.value.exit_code, len(str(raised.value).splitlines())) == (2, 1)
