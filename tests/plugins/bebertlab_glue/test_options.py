"""GLUE tasks from local folders, without a folder, and with the real data."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bebertlab.api import SELECT, TRAIN, VALIDATION, SetupError, UserError
from bebertlab.testing import check_task
from bebertlab_glue import Glue
from bebertlab_glue.catalogue import TaskName


def _sentences(count: int) -> dict[str, list[object]]:
    return {"sentence": [f"word {i} ." for i in range(count)], "label": [i % 2 for i in range(count)]}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a test touched the network")

    monkeypatch.delenv("BEBERTLAB_GLUE", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_folder_gives_three_disjoint_splits(cola: Path) -> None:
    task = Glue(name="cola", path=cola).load()
    assert {name: len(split) for name, split in task.splits.items()} == {TRAIN: 36, SELECT: 4, VALIDATION: 10}
    ids = [i for split in task.splits.values() for i in split.ids]
    texts = [text for split in task.splits.values() for text in split.texts]
    assert len(set(ids)) == len(ids) == 50
    assert len(set(texts)) == 50
    assert task.score == "matthews"
    assert task.classes == ("unacceptable", "acceptable")


def test_another_order_of_the_data_is_reported(cola: Path, write: Callable[..., Path]) -> None:
    assert Glue(name="cola", path=cola).load().data_order == ()
    for split in ("train", "validation_matched", "validation_mismatched"):
        columns = {name: [f"{split} {name} {i}" for i in range(9)] for name in ("premise", "hypothesis")}
        folder = write("mnli", split, {**columns, "label": [i % 3 for i in range(9)], "idx": list(range(9))})
    task = Glue(name="mnli", path=folder, select_fraction=0.4).load()
    assert task.classes == ("contradiction", "entailment", "neutral")
    assert task.data_order == ("entailment", "neutral", "contradiction")


def test_the_environment_variable_names_the_folder_by_default(cola: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEBERTLAB_GLUE", str(cola))
    assert Glue(name="cola").load().digest == Glue(name="cola", path=cola).load().digest
    monkeypatch.setenv("HOME", str(cola))
    monkeypatch.setenv("BEBERTLAB_GLUE", "~")
    assert Glue(name="cola").load().digest == Glue(name="cola", path=cola).load().digest


def test_the_digest_changes_with_the_data(cola: Path) -> None:
    whole = Glue(name="cola", path=cola).load().digest
    assert Glue(name="cola", path=cola, limit=20).load().digest != whole
    assert Glue(name="cola", path=cola, select_fraction=0.2).load().digest != whole


def test_a_limit_selects_the_first_rows(cola: Path) -> None:
    task = Glue(name="cola", path=cola, limit=8).load()
    assert sum(len(task.splits[name]) for name in (TRAIN, SELECT)) == 8
    assert task.splits[VALIDATION].ids == tuple(f"validation-{i}" for i in range(8))


def test_select_is_split_off_by_a_column_of_groups(write: Callable[..., Path], cola: Path) -> None:
    columns: dict[str, list[object]] = {**_sentences(60), "document": [f"d{i // 6}" for i in range(60)]}
    task = Glue(name="cola", path=write("cola", "train", columns), group="document").load()
    documents = {
        name: {int(item.removeprefix("train-")) // 6 for item in task.splits[name].ids} for name in (TRAIN, SELECT)
    }
    assert documents[TRAIN].isdisjoint(documents[SELECT])
    check_task(Glue(name="cola", path=cola, group="document"))


def test_data_that_cannot_be_divided_is_named(write: Callable[..., Path], cola: Path) -> None:
    same: list[object] = ["the same"] * 3
    write("cola", "train", {**_sentences(3), "sentence": same})
    with pytest.raises(UserError, match=r"train\.parquet: the 3 training examples cannot be divided"):
        Glue(name="cola", path=cola).load()


def test_official_rows_with_an_empty_question_are_accepted(write: Callable[..., Path]) -> None:
    def questions(count: int, word: str) -> dict[str, list[object]]:
        text = [f"{word} one {i}" for i in range(count)]
        labels: list[object] = [i % 2 for i in range(count)]
        return {"question1": list(text), "question2": [*text[1:], ""], "label": labels}

    folder = write("qqp", "train", questions(40, "seen"))
    task = Glue(name="qqp", path=write("qqp", "validation", questions(8, "new")), select_fraction=0.2).load()
    assert tuple(caveat.sentence for caveat in task.caveats[1:]) == (
        "train: 1 of 40 pairs have an empty question1 or question2",
        "validation: 1 of 8 pairs have an empty question1 or question2",
    )
    check_task(Glue(name="qqp", path=folder, select_fraction=0.2))


def test_phrases_of_a_select_sentence_are_excluded_from_training(real_glue: Path) -> None:
    task = Glue(name="sst2", path=real_glue, limit=6000).load()
    select = [f" {text.strip()} " for text in task.splits[SELECT].texts]
    inside = [text for text in task.splits[TRAIN].texts if any(f" {text.strip()} " in item for item in select)]
    assert max(len(re.findall(r"\w+", text)) for text in inside) <= 2
    assert len(task.splits[SELECT]) == 600


def test_without_a_folder_the_cache_is_used_and_remedies_are_named() -> None:
    with pytest.raises(SetupError, match=r"not in the local cache; name a folder .*\(--set task\.path=DIR\)"):
        Glue(name="rte").load()


@pytest.mark.parametrize(
    ("name", "sizes", "unofficial"),
    [
        ("cola", (8551, 1043), False),
        ("sst2", (67349, 872), False),
        ("mrpc", (3668, 408), False),
        ("stsb", (5749, 1500), False),
        ("rte", (2490, 277), False),
        ("wnli", (635, 71), False),
        ("qqp", (20497, 3000), True),  # also of an official name, but not of the official size
        ("mnli", (9888, 9815), True),
        ("qnli", (7132, 5463), True),
    ],
)
@pytest.mark.slow
def test_the_real_tasks_load_completely(
    real_glue: Path, name: TaskName, sizes: tuple[int, int], unofficial: bool
) -> None:
    task = Glue(name=name, path=real_glue, nonofficial=unofficial).load()
    assert (len(task.splits[TRAIN]) + len(task.splits[SELECT]), len(task.splits[VALIDATION])) == sizes
    assert ("unofficial-splits" in {caveat.kind for caveat in task.caveats}) is unofficial
    ids = [i for split in task.splits.values() for i in split.ids]
    assert len(set(ids)) == len(ids)
    assert set(task.splits[TRAIN].texts).isdisjoint(task.splits[SELECT].texts) or task.splits[TRAIN].pairs is not None
    means = [float(np.mean(task.splits[split].labels)) for split in (TRAIN, SELECT)]
    assert means[0] == pytest.approx(means[1], abs=0.03)


def test_mnli_has_a_second_validation_set(real_glue: Path) -> None:
    task = Glue(name="mnli", path=real_glue, nonofficial=True, limit=50).load()
    assert set(task.splits) == {TRAIN, SELECT, VALIDATION, "validation_mismatched"}


def test_stsb_is_regression(real_glue: Path) -> None:
    task = Glue(name="stsb", path=real_glue, limit=50).load()
    assert task.outputs == 1
    assert task.splits[TRAIN].labels.dtype == np.float32
    perfect = task.splits[VALIDATION].labels[:, None]
    assert task.evaluate(VALIDATION, perfect)["score"] == pytest.approx(100.0)


def test_labels_match_the_class_names(real_glue: Path) -> None:
    task = Glue(name="mnli", path=real_glue, nonofficial=True, limit=20).load()
    validation = task.splits[VALIDATION]
    named = dict(zip(validation.pairs or (), (task.classes[label] for label in validation.labels), strict=True))
    assert named["I know exactly."] == "contradiction"
    assert named["Everyone really likes the newest benefits"] == "neutral"


@pytest.mark.parametrize(("name", "limit", "official"), [("rte", None, True), ("rte", 200, False), ("qqp", 50, False)])
def test_only_whole_official_sets_are_called_glue(
    real_glue: Path, name: TaskName, limit: int | None, official: bool
) -> None:
    task = Glue(name=name, path=real_glue, limit=limit, nonofficial=True).load()
    assert task.name == f"glue/{name}"
    assert (not task.caveats) is official


def test_glue_keeps_the_task_contract(cola: Path) -> None:
    check_task(Glue(name="cola", path=cola))


@pytest.mark.parametrize("name", ["cola", "mrpc", "stsb", "mnli", "rte"])
def test_real_tasks_keep_the_task_contract(real_glue: Path, name: TaskName) -> None:
    check_task(Glue(name=name, path=real_glue, limit=300, nonofficial=True))
