from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from bebertlab.interfaces.events import StageProgress
from bebertlab.study.executors.session import PREFIX, EventFiles, append_event, private_folder


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


def test_the_session_folder_is_private_and_removed(parent: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "r").mkdir()
    assert not folder.exists()


def test_a_long_path_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_folder() as folder:
        assert folder.parent == Path("/tmp")


def test_folders_of_killed_drivers_are_removed_and_no_others(parent: Path) -> None:
    left, living, young = (parent / f"{PREFIX}{name}" for name in ("left", "living", "young"))
    other = old(parent / "other")
    living.mkdir()
    with FileLock(living / "lock"):
        old(living)
        old(left)
        young.mkdir()
        with private_folder():
            assert [path.exists() for path in (left, living, young, other)] == [False, True, True, True]


def test_the_folder_is_removed_after_an_error(parent: Path) -> None:
    with pytest.raises(KeyboardInterrupt), private_folder():
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []


def event(trial: int, text: str) -> StageProgress:
    return StageProgress(stage="a", stage_kind="k", key="f", trial=trial, text=text, values={"x": 0.5})


def test_every_event_is_read_once_and_complete(tmp_path: Path) -> None:
    files = EventFiles(tmp_path / "events")
    first, second = files.open(0), files.open(7)
    append_event(first, event(0, "1/2"))
    append_event(second, event(7, "one"))
    assert list(files.read()) == [event(0, "1/2"), event(7, "one")]
    assert list(files.read()) == []
    append_event(first, event(0, "2/2"))
    assert list(files.close(0)) == [event(0, "2/2")]
    assert not first.exists()
    assert list(files.read()) == []


def test_an_incomplete_line_is_read_once_it_is_complete(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    path = files.open(0)
    append_event(path, event(0, "ä"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert list(files.read()) == []
    path.write_bytes(whole)
    assert list(files.read()) == [event(0, "ä")]


def test_a_requeued_trial_starts_with_an_empty_event_file(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    append_event(files.open(0), event(0, "lost"))
    path = files.open(0)
    assert list(files.read()) == []
    append_event(path, event(0, "again"))
    assert list(files.read()) == [event(0, "again")]
