from __future__ import annotations

import logging
import os
from pathlib import Path
from time import time

import pytest

from bebertlab.data.cache_files import mark_as_used, replace_file, warn_of_damage


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "key.json"
    replace_file(file, lambda part: part.write_text("first"))

    def fail(part: Path) -> None:
        part.write_text("sec")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(file, fail)
    assert [path.name for path in file.parent.iterdir()] == ["key.json"]
    assert file.read_text() == "first"
    replace_file(file, lambda part: part.write_text("second"))
    assert file.read_text() == "second"


def test_using_a_file_updates_its_times(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text("x")
    os.utime(file, (0, 0))
    mark_as_used(file)
    assert abs(file.stat().st_mtime - time()) < 60
    mark_as_used(tmp_path / "missing.json")  # another process removed it: no error


def test_a_damaged_file_gives_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="bebertlab"):
        warn_of_damage(Path("a/key.json"), "it is empty")
    assert caplog.messages == ["a/key.json is damaged and will be replaced: it is empty"]
