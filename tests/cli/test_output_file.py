from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bebertlab.cli.output_file import OutputFile
from bebertlab.errors import SetupError, UserError


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with OutputFile(path) as output:
        output.write("caf\u00e9\n")
        assert path.read_text() == "old"
        assert (tmp_path / "out.csv.part").read_text(encoding="utf-8") == "caf\u00e9\n"  # flushed
        output.write("end\n")
    assert path.read_text(encoding="utf-8") == "caf\u00e9\nend\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_before_an_error_stays_next_to_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def write() -> None:
        with OutputFile(path) as output:
            output.write("new\n")
            raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        write()
    assert path.read_text() == "old"
    assert (tmp_path / "out.csv.part").read_text() == "new\n"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link, path = tmp_path / "link.csv", tmp_path / "folder/out.csv"
    link.symlink_to(path)
    with OutputFile(link) as output:
        output.write("row\n")
    assert link.is_symlink()
    assert path.read_text() == "row\n"


def test_standard_output_is_written_in_utf8(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with OutputFile(None) as output:
        output.write("caf\u00e9 \ud800\n")
        assert not output.is_terminal
    with OutputFile(None) as output:  # the stream is open still
        output.write("end\n")
    assert capfdbinary.readouterr().out == b"caf\xc3\xa9 \\ud800\nend\n"


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with OutputFile(pipe) as output:
        output.write("row\n")
    reader.join()
    assert (read, output.partial) == ([b"row\n"], None)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match=r"nowhere/out\.csv\.part: cannot be written: No such file or directory$"),
        OutputFile(tmp_path / "nowhere/out.csv"),
    ):
        pass


def test_writing_outside_of_the_block_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="outside the with block"):
        OutputFile(tmp_path / "out").write("row\n")
