from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from bebertlab.data.overlap import Overlap, overlaps
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


def _found(task: Task) -> dict[str, float]:
    return {name: value for overlap in overlaps(task) for name, value in overlap.metrics().items()}


def test_whole_texts_and_texts_within_texts_are_counted() -> None:
    task = _task(
        train=["The film !", "good", "a film of the year", "a very long and winding road"],
        select=["the film", "bad"],
        validation=["the film", "the film", "this is a film of the year", "very long and winding", "so good a day"],
    )
    assert _found(task) == {
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
    assert _found(task) == {"overlap/train_validation_same": 1, "overlap/train_validation_shared": 2}
    assert [(one.first, one.second) for one in overlaps(task)] == [
        *((TRAIN, SELECT), (TRAIN, VALIDATION), (TRAIN, "validation_other")),
        *((SELECT, VALIDATION), (SELECT, "validation_other")),
    ]


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
def test_much_overlap_is_warned_of(second: str, same: int, shared: int, generated: bool, warning: str | None) -> None:
    text = Overlap(first=TRAIN, second=second, size=200, same=same, shared=shared, short=0).warning(generated=generated)
    assert (text is None) if warning is None else str(text).startswith(warning)
