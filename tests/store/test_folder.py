from __future__ import annotations

from pathlib import Path

import pytest

from bebertlab.errors import EnvironmentFault
from bebertlab.store.folder import make_folder
from bebertlab.store.store import Store


def test_a_folder_is_made_with_those_it_is_in_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_told_with_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/x: the folder cannot be made: Not a directory; --work names another place"
    with pytest.raises(EnvironmentFault, match=message):
        make_folder(tmp_path / "file" / "x")
    with pytest.raises(EnvironmentFault, match="the folder cannot be made"):
        Store(tmp_path / "file" / "store").lock("ab")
