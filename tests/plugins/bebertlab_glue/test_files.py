"""Names of files, as the hub and its mirrors write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bebertlab.api import SetupError, UserError
from bebertlab_glue.files import find_home, find_set


def _folder(home: Path, names: Sequence[str]) -> Path:
    for name in names:
        file = home / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return home


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["train"], ["train"]),
        (["train-00000-of-00001"], ["train-00000-of-00001"]),
        (["data/train-00000-of-00001"], ["train-00000-of-00001"]),
        (["train-00000-of-00001-0a1b2c3d4e5f6789"], ["train-00000-of-00001-0a1b2c3d4e5f6789"]),
        ([f"train-{i:05}-of-00003" for i in (2, 0, 1)], [f"train-{i:05}-of-00003" for i in range(3)]),
        (["train/0001", "train/0000"], ["0000", "0001"]),
        (["train", "train_subset", "test-00000-of-00001", "validation/0000"], ["train"]),
    ],
)
def test_all_files_of_a_split_are_listed_in_order(tmp_path: Path, names: list[str], order: list[str]) -> None:
    file_set = find_set(_folder(tmp_path, names), "train", nonofficial=False)
    assert [file.stem for file in file_set.files] == order
    assert not file_set.unofficial


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-00000-of-00003", "train-00002-of-00003"], r"train is incomplete: of files 0 to 2, 1 is missing"),
        (["train-00000-of-00002"], "train is incomplete: of files 0 to 1, 1 is missing"),
        (["train-00000-of-00001", "train-00001-of-00001"], "has a file with a number above"),
        (["train/0000", "train/0002"], "train is incomplete: of files 0 to 1, 1 is missing"),
        (["train", "train-00000-of-00001"], "train occurs more than once"),
        (["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"], "occurs more than once"),
        (["train-00000-of-00001-aa", "train-00000-of-00001-bb"], "train occurs more than once"),
        (["train", "data/train"], "train occurs more than once"),
        (["train", "train/0000"], "train occurs more than once"),
        (["train/0000", "data/train/0000"], "train occurs twice"),
    ],
)
def test_an_incomplete_or_mixed_set_of_files_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_set(_folder(tmp_path, names), "train", nonofficial=False)


def test_several_unofficial_files_are_refused(tmp_path: Path) -> None:
    home = _folder(tmp_path, ["train_subset1k", "train_nonofficial-00000-of-00001"])
    with pytest.raises(UserError, match="train_nonofficial and train_subset1k may both be taken for train"):
        find_set(home, "train", nonofficial=True)
    (home / "train_subset1k.parquet").unlink()
    assert find_set(home, "train", nonofficial=True).unofficial


def test_a_similar_file_name_is_suggested(tmp_path: Path) -> None:
    home = _folder(tmp_path, ["train", "dev_matched"])
    with pytest.raises(
        SetupError,
        match=r"sets found in .*: dev_matched, train; rename dev_matched\.parquet to validation_matched",
    ):
        find_set(home, "validation_matched", nonofficial=False)


@pytest.mark.parametrize(("name", "task"), [("SST-2", "sst2"), ("STS-B", "stsb"), ("CoLA", "cola"), ("rte", "rte")])
def test_the_folder_of_a_task_may_have_another_spelling(tmp_path: Path, name: str, task: str) -> None:
    (tmp_path / name).mkdir()
    assert find_home(tmp_path, task) == tmp_path / name


def test_of_two_task_folders_the_exact_name_wins_or_both_are_refused(tmp_path: Path) -> None:
    for name in ("SST-2", "SST2"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="both SST-2 and SST2 may be the task 'sst2'"):
        find_home(tmp_path, "sst2")
    (tmp_path / "sst2").mkdir()
    assert find_home(tmp_path, "sst2").name == "sst2"


def test_a_folder_of_the_files_themselves_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="contains the files; give the folder above it"):
        find_home(_folder(tmp_path, ["train"]), "sst2")
