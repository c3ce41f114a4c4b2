from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError
from bebertlab.hub.folder import packed_folder
from bebertlab.packed.read import read_packed


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert packed_folder(str(tmp_path), {"revision": "v1"}) == tmp_path


def test_a_repository_is_read_from_the_cache_of_the_hub(single: Path, tmp_path: Path, codec: OptionsCodec) -> None:
    repository, commit = tmp_path / "hub/models--me--packed", "c" * 40
    snapshot = repository / "snapshots" / commit
    for directory in (snapshot, repository / "blobs", repository / "refs"):
        directory.mkdir(parents=True)
    (repository / "refs/main").write_text(commit, encoding="utf-8")
    for file in single.iterdir():
        shutil.copy(file, repository / "blobs" / file.name)
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    folder = packed_folder("me/packed", {"cache_dir": tmp_path / "hub", "local_files_only": True})
    assert folder == snapshot
    assert read_packed(folder, codec).task == "tiny"


@pytest.mark.parametrize("name", ["me/none", "/no/such/folder"])
def test_what_is_nowhere_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"^{name}: no such folder, and not read from the hub: .+") as caught:
        packed_folder(name, {"cache_dir": tmp_path, "local_files_only": True})
    assert "\n" not in str(caught.value)
