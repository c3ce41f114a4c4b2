from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from bebertlab.study.executors.folder import PREFIX, private_folder


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="x", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def old(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


def test_it_is_ours_alone_and_goes_away(parent: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "r").mkdir()
    assert not folder.exists()


def test_a_long_path_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_folder() as folder:
        assert folder.parent == Path("/tmp")


def test_what_killed_drivers_left_is_removed_and_nothing_else(parent: Path) -> None:
    left, living, young = (parent / f"{PREFIX}{name}" for name in ("left", "living", "young"))
    other = old(parent / "other")
    living.mkdir()
    with FileLock(living / "lock"):
        old(living)
        old(left)
        young.mkdir()
        with private_folder():
            assert [path.exists() for path in (left, living, young, other)] == [False, True, True, True]


def test_it_goes_away_after_a_fault(parent: Path) -> None:
    with pytest.raises(KeyboardInterrupt), private_folder():
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []
