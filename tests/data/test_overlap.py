from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from bebertlab.data import overlap as module
from bebertlab.data.overlap import Overlap, overlaps
from bebertlab.data.text_groups import Example
from bebertlab.formats import OVERLAP_CACHE
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Split, Task
from bebertlab.testing.tiny import tiny_task


def _task(pairs: bool = False, **texts: list[str]) -> Task:
    splits = {}
    for name, examples in texts.items():
        columns = list(zip(*(example.split("|") for example in examples), strict=True)) if pairs else [tuple(examples)]
        splits[name] = Split(
            ids=tuple(f"{name}-{i}" for i in range(len(examples))),
            texts=columns[0],
            pairs=columns[1] if pairs else None,
            labels=np.zeros(len(examples), dtype=np.int64),
        )
    return evolve(tiny_task(), splits=splits)


def _overlaps_of(task: Task) -> dict[str, float]:
    return {name: value for overlap in overlaps(task) for name, value in overlap.metrics().items()}


def test_whole_texts_and_texts_within_texts_are_counted() -> None:
    task = _task(
        train=["The film !", "good", "a film of the year", "a very long and winding road"],
        select=["the film", "bad"],
        validation=["the film", "the film", "this is a film of the year", "very long and winding", "so good a day"],
    )
    assert _overlaps_of(task) == {
        "overlap/train_select_same": 1,
        "overlap/train_validation_same": 2,
        "overlap/train_validation_shared": 2,
        "overlap/train_validation_short": 1,
        "overlap/select_validation_same": 2,
    }


def test_texts_of_pairs_are_counted() -> None:
    task = _task(
        pairs=True,
        train=["q1|a1", "q2|a2"],
        select=["q3|a3", "q4|"],
        validation=["q1|a1", "a1|q9", "q8|a2", "q7|"],
        validation_other=["q5|a5"],
    )
    assert _overlaps_of(task) == {"overlap/train_validation_same": 1, "overlap/train_validation_shared": 2}
    assert [(item.first, item.second) for item in overlaps(task)] == [
        *((TRAIN, SELECT), (TRAIN, VALIDATION), (TRAIN, "validation_other")),
        *((SELECT, VALIDATION), (SELECT, "validation_other")),
    ]


@pytest.fixture
def phrases() -> Task:
    return _task(
        train=["the film", "a film of the year", "good"],
        select=["the film", "bad"],
        validation=["this is a film of the year", "so good a day"],
    )


def _restarted(task: Task, cache: Path) -> tuple[Overlap, ...]:
    """The overlaps in a process that has not computed any."""
    module._overlaps.cache_clear()
    return overlaps(task, cache=cache)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Receives the sizes of the first splits whose overlaps are computed."""
    sizes: list[int] = []
    count = module._count

    def counting(these: Sequence[Example], those: Sequence[Example]) -> Any:  # noqa: ANN401 - private
        sizes.append(len(these))
        return count(these, those)

    monkeypatch.setattr(module, "_count", counting)
    return sizes


def test_other_processes_read_what_this_one_counted(phrases: Task, tmp_path: Path, computed: list[int]) -> None:
    folder = tmp_path / "cache"
    first = _restarted(phrases, folder)
    assert computed == [3, 3, 2]
    assert len([*folder.glob("*.json")]) == len([*folder.iterdir()]) == 3
    assert _restarted(phrases, folder) == first
    assert len(computed) == 3


def test_only_the_texts_of_both_splits_count(phrases: Task, tmp_path: Path, computed: list[int]) -> None:
    _restarted(phrases, tmp_path)
    train, validation = phrases.splits[TRAIN], phrases.splits[VALIDATION]
    relabelled = evolve(train, labels=train.labels + 1)
    _restarted(evolve(phrases, splits={**phrases.splits, TRAIN: relabelled}), tmp_path)
    assert len(computed) == 3
    shorter = evolve(validation, ids=("v",), texts=("good",), labels=validation.labels[:1])
    changed = _restarted(evolve(phrases, splits={**phrases.splits, VALIDATION: shorter}), tmp_path)
    assert computed[3:] == [3, 2]  # with train and with select
    assert [(overlap.size, overlap.same) for overlap in changed] == [(2, 1), (1, 1), (1, 0)]


def test_another_format_or_version_of_unicode_is_counted_again(
    phrases: Task, tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _restarted(phrases, tmp_path)
    monkeypatch.setattr(module, "OVERLAP_CACHE", evolve(OVERLAP_CACHE, number=OVERLAP_CACHE.number + 1))
    _restarted(phrases, tmp_path)
    assert len(computed) == 6
    monkeypatch.setattr(unicodedata, "unidata_version", "99.0.0")
    _restarted(phrases, tmp_path)
    assert len(computed) == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:20],
        lambda text: "[]",
        lambda text: text.replace('"same": ', '"same": 1'),
        lambda text: text.replace('"same"', '"sane"'),
    ],
)
def test_a_damaged_file_is_replaced(
    phrases: Task, tmp_path: Path, damage: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    first = _restarted(phrases, tmp_path)
    contents = {file: file.read_text() for file in tmp_path.iterdir()}
    for file, text in contents.items():
        file.write_text(damage(text))
        assert file.read_text() != text
    with caplog.at_level(logging.WARNING, logger="bebertlab"):
        assert _restarted(phrases, tmp_path) == first
    assert len(caplog.messages) == 3
    assert all(message.count(str(tmp_path)) == 1 for message in caplog.messages)
    assert all("is damaged and will be replaced: " in message for message in caplog.messages)
    assert {file: file.read_text() for file in tmp_path.iterdir()} == contents


def test_a_file_of_other_splits_is_not_read(phrases: Task, tmp_path: Path) -> None:
    expected = _restarted(phrases, tmp_path)
    file, other, _ = sorted(tmp_path.iterdir())
    file.write_text(other.read_text())
    assert _restarted(phrases, tmp_path) == expected


def test_a_folder_that_cannot_be_written_is_no_error(phrases: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert _restarted(phrases, tmp_path / "file" / "cache") == _restarted(phrases, tmp_path)


@pytest.mark.parametrize(
    ("second", "same", "shared", "generated", "warning"),
    [
        (VALIDATION, 3, 0, False, "validation: 3 of 200 examples are also in train"),
        (VALIDATION, 2, 150, False, None),
        (SELECT, 0, 3, False, "select: 3 of 200 examples share a text with train"),
        (SELECT, 0, 3, True, None),
        (SELECT, 2, 1, False, "select: 2 of 200 examples are also in train, and 1 of 200 examples share a text with"),
    ],
)
def test_much_overlap_is_warned_about(
    second: str, same: int, shared: int, generated: bool, warning: str | None
) -> None:
    text = Overlap(first=TRAIN, second=second, size=200, same=same, shared=shared, short=0).warning(generated=generated)
    assert (text is None) if warning is None else str(text).startswith(warning)
