"""Local folders, whole and broken."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from bebertlab.api import SetupError, UserError
from bebertlab_glue.catalogue import CATALOGUE, TaskName
from bebertlab_glue.folder import Reading, read_folder
from bebertlab_glue.table import ExampleTable

COLUMNS = {"sentence": ["a .", "b ."], "label": [0, 1], "idx": [0, 1]}


def _read(
    folder: Path,
    *,
    nonofficial: bool = False,
    task: TaskName = "cola",
    limit: int | None = None,
    group: str | None = None,
) -> ExampleTable:
    reading = Reading(entry=CATALOGUE[task], limit=limit, group=group)
    return read_folder(folder, task, reading, {"train": "train"}, nonofficial=nonofficial)["train"]


def test_rows_keep_the_order_of_the_file(cola: Path) -> None:
    table = _read(cola)
    assert table.texts[:2] == ("word 0 .", "word 1 .")
    assert not table.unofficial


def test_a_missing_folder_lists_the_available_tasks(cola: Path) -> None:
    with pytest.raises(SetupError, match=r"rte: no folder of the task 'rte' \(found: cola\)"):
        _read(cola, task="rte")
    with pytest.raises(SetupError, match="does not exist"):
        _read(cola / "nowhere")


def test_a_missing_split_lists_the_available_splits(write: Callable[..., Path]) -> None:
    folder = write("cola", "validation", COLUMNS)
    with pytest.raises(SetupError, match=r"train\.parquet: no such file; sets found in .*: validation"):
        _read(folder)


def test_an_unofficial_file_is_used_only_when_allowed_and_marked(write: Callable[..., Path]) -> None:
    folder = write("cola", "train_nonofficial", COLUMNS)
    with pytest.raises(SetupError, match=r"only train_nonofficial\.parquet; --set task\.nonofficial=true"):
        _read(folder)
    assert _read(folder, nonofficial=True).unofficial


def test_a_missing_column_lists_the_available_columns(write: Callable[..., Path]) -> None:
    folder = write("cola", "train", {"sentenc": ["a ."], "label": [0], "idx": [0]})
    with pytest.raises(UserError, match="no column 'sentence'; did you mean 'sentenc'"):
        _read(folder)


def test_a_pointer_of_git_lfs_is_reported(cola: Path) -> None:
    (cola / "cola" / "train.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(SetupError, match=r"train\.parquet is a git-lfs pointer, not the file itself; run"):
        _read(cola)


@pytest.mark.parametrize(
    ("task", "columns", "message"),
    [
        (
            "cola",
            {**COLUMNS, "label": None, "labels": [0, 1]},
            "no column 'label'; rename 'labels' if it contains that",
        ),
        ("cola", {**COLUMNS, "sentence": None, "text": ["a", "b"]}, "no column 'sentence'; rename 'text' if"),
        (
            "qqp",
            {"sentence1": ["a"], "sentence2": ["b"], "is_duplicate": [0]},
            "no column 'question1'; rename 'sentence1' if",
        ),
        ("stsb", {"sentence1": ["a"], "sentence2": ["b"], "score": [0.5]}, "no column 'label'; rename 'score' if"),
    ],
)
def test_columns_of_mirrors_are_recognized(
    write: Callable[..., Path], task: TaskName, columns: dict[str, list[object] | None], message: str
) -> None:
    folder = write(task, "train", {name: values for name, values in columns.items() if values is not None})
    with pytest.raises(UserError, match=message):
        _read(folder, task=task)


def test_shards_are_read_in_order(write: Callable[..., Path]) -> None:
    for number in (1, 0):
        columns = {"sentence": [f"part {number}"], "label": [number]}
        folder = write("cola", f"train-{number:05}-of-00002", columns)
    table = _read(folder)
    assert table.texts == ("part 0", "part 1")
    assert table.numbers.tolist() == [0, 1]


def test_a_damaged_shard_is_named(write: Callable[..., Path]) -> None:
    write("cola", "train-00000-of-00002", COLUMNS)
    folder = write("cola", "train-00001-of-00002", COLUMNS)
    (folder / "cola" / "train-00001-of-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"train-00001-of-00002\.parquet: not a readable parquet file"):
        _read(folder)


def test_rows_beyond_the_limit_are_not_read(write: Callable[..., Path]) -> None:
    folder = write(
        "cola", "train", {"sentence": ["a .", "b .", None, " "], "label": [0, 1, -1, 7], "idx": [0, 1, 1, 1]}
    )
    assert _read(folder, limit=2).texts == ("a .", "b .")
    with pytest.raises(UserError, match="row 2: idx"):
        _read(folder)


def test_a_column_of_groups_is_read(write: Callable[..., Path]) -> None:
    folder = write("cola", "train", {**COLUMNS, "document": [7, 8]})
    assert _read(folder, group="document").groups == ("7", "8")
    with pytest.raises(UserError, match="no column 'documents'; did you mean 'document'"):
        _read(folder, group="documents")


def test_a_damaged_file_is_named(cola: Path) -> None:
    file = cola / "cola" / "train.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"train\.parquet: not a readable parquet file"):
        _read(cola)


def test_a_file_without_rows_is_not_reported_as_damaged(write: Callable[..., Path]) -> None:
    folder = write("cola", "train", {name: [] for name in COLUMNS})
    with pytest.raises(UserError, match=r"train\.parquet: no rows$"):
        _read(folder)


def test_log_messages_do_not_repeat_the_error(cola: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.append)
    monkeypatch.setattr(logging.getLogger("datasets"), "handlers", [handler])

    def fail(*_: object, **__: object) -> None:
        logging.getLogger("datasets.packaged_modules.parquet.parquet").error("Failed to read file")
        raise RuntimeError("while generating") from ValueError("page 3 is no page")

    monkeypatch.setattr(datasets.Dataset, "from_parquet", fail)
    with pytest.raises(UserError, match=r"not a readable parquet file \(page 3 is no page\)"):
        _read(cola)
    assert records == []
    logging.getLogger("datasets.packaged_modules.parquet.parquet").error("afterwards it may")
    assert len(records) == 1


def test_the_class_names_of_a_file_are_read(tmp_path: Path) -> None:
    import datasets

    names = ["neutral", "contradiction", "entailment"]
    columns = {"premise": ["a", "b", "c"], "hypothesis": ["d"] * 3, "label": [0, 1, 2], "idx": [0, 1, 2]}
    label = datasets.ClassLabel(names=names)
    text = datasets.Value("string")
    features = datasets.Features({"premise": text, "hypothesis": text, "label": label, "idx": datasets.Value("int32")})
    (tmp_path / "mnli").mkdir()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(str(tmp_path / "mnli" / "train.parquet"))
    table = _read(tmp_path, task="mnli")
    assert [CATALOGUE["mnli"].classes[number] for number in table.labels] == names
