from __future__ import annotations

import numpy as np

from bebertlab.interfaces.task import VALIDATION, Split, Task


def task(*classes: str) -> Task:
    labels = np.array([0, 1, 1]) if classes else np.array([0.5, 1.0, 2.0], dtype=np.float32)
    split = Split(ids=("a", "b", "c"), texts=("x", "y", "z"), pairs=None, labels=labels)
    return Task(
        name="test",
        classes=classes,
        splits={VALIDATION: split},
        metrics=lambda predictions, labels: {"error": float(np.abs(predictions - labels).sum()), "size": len(labels)},
        score="error",
        digest="",
    )


def test_a_class_is_the_highest_logit_and_the_lowest_class_of_a_tie() -> None:
    scores = np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 1.0]])
    assert task("no", "yes").predict(scores).tolist() == [0, 0, 1]


def test_a_regression_is_its_only_column() -> None:
    assert (task("no", "yes").outputs, task().outputs) == (2, 1)
    assert task().predict(np.array([[0.25], [1.0]])).tolist() == [0.25, 1.0]


def test_the_main_metric_is_repeated_as_score() -> None:
    scores = np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 1.0]])
    assert task("no", "yes").evaluate(VALIDATION, scores) == {"score": 1.0, "error": 1.0, "size": 3}


def test_a_split_is_as_long_as_its_ids() -> None:
    assert len(task("no", "yes").splits[VALIDATION]) == 3
