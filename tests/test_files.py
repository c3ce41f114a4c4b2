from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from bebertlab.errors import SetupError, UserError
from bebertlab.files import check_file, content_digest, parse_json, path_digest, read_json

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:9c16\nsize 440449768\n"


def test_a_pointer_of_git_lfs_is_a_setup_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text(POINTER)
    message = "is a git-lfs pointer, not the file itself; run `git lfs pull` there, or download it again"
    for read in (check_file, read_json):
        with pytest.raises(SetupError) as raised:
            read(path)
        assert str(raised.value) == f"{path} {message}"
    path.write_text("version 2")
    check_file(path)


def test_a_path_that_is_not_a_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / ("long" * 100)):
        with pytest.raises(SetupError) as raised:
            check_file(path)
        assert str(raised.value).startswith(f"{path}: ")


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"ä": {"b": [1]}}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"ä": {"b": [1]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON: "),
        (b'{"a": ', "not valid JSON: "),
        (b"<html>", "not valid JSON: "),
        (b"[]", "expected a JSON object, found list"),
        (b"[" * 100_000, "not valid JSON: nested more than 100 levels deep"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "not valid JSON: nested more than 100 levels deep"),
        ("\ufeff{}".encode(), "not valid JSON: it begins with a byte order mark; save it as UTF-8 without one"),
        ("{}".encode("utf-16"), "not valid JSON: byte 0 is not UTF-8"),
        (b'{"a": "\xe4"}', "not valid JSON: byte 7 is not UTF-8"),
        (b'{"b": {"a": 1, "a": 1}}', "not valid JSON: duplicate key 'a'"),
    ],
)
def test_json_that_is_not_an_object_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_json(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert (raised.value.exit_code, len(str(raised.value).splitlines())) == (2, 1)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a modification time of a minute ago."""
    path = tmp_path / "weights"
    path.write_text("old")
    late = time.time_ns() + 60_000_000_000
    monkeypatch.setattr("bebertlab.files.time.time_ns", lambda: late)
    return path


def test_a_file_that_was_just_written_is_read_every_time(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    for number in range(20):  # several of these within one tick of a file system's clock
        path.write_text(f"{number:02d}")
        assert content_digest(path) == sha256(f"{number:02d}")


def test_an_unchanged_file_is_read_once(settled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert content_digest(settled) == sha256("old")
    monkeypatch.setattr("bebertlab.files._digest", lambda path: "read again")
    assert content_digest(settled) == sha256("old")


def test_another_text_of_equal_size_and_time_is_detected(settled: Path) -> None:
    state = settled.stat()
    assert content_digest(settled) == sha256("old")
    time.sleep(0.02)  # more than a tick of the clock; of what was really just written nothing is remembered
    settled.write_text("new")
    os.utime(settled, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert content_digest(settled) == sha256("new")


def test_a_replaced_file_with_its_original_time_is_detected(settled: Path) -> None:
    state = settled.stat()
    assert content_digest(settled) == sha256("old")
    other = settled.with_name("other")
    other.write_text("new")
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(settled)
    assert content_digest(settled) == sha256("new")


def test_a_time_in_the_future_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    later = time.time_ns() + 10**12
    for text in ("old", "new"):
        path.write_text(text)
        os.utime(path, ns=(later, later))
        assert content_digest(path) == sha256(text)


def test_the_digest_of_a_folder_depends_on_names_and_contents_of_its_files(tmp_path: Path) -> None:
    assert path_digest(tmp_path / "missing") is None
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    actual = {path_digest(folder)}
    for name, text in (("a", "1"), ("deep/b", "1"), ("a", "2")):
        (folder / name).write_text(text)
        actual.add(path_digest(folder))
    (folder / "a").rename(folder / "c")
    actual.add(path_digest(folder))
    assert len(actual) == 5
    before = path_digest(folder)
    assert path_digest(folder.rename(tmp_path / "moved")) == before
    assert path_digest(tmp_path / "moved" / "c") == sha256("2")


def test_json_of_a_hundred_levels_is_read() -> None:
    data = parse_json("[" * 100 + "]" * 100)
    levels = 0
    while data:
        (data,), levels = data, levels + 1
    assert levels == 99
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        parse_json("[" * 101 + "]" * 101)
