from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from bebertlab.artifacts.cascade import choose_cascade
from bebertlab.artifacts.outputs import write_logits
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import Floats
from bebertlab.interfaces.task import SELECT, VALIDATION, Task
from bebertlab.packed.contract import Score
from bebertlab.packed.source import SourceFolders
from bebertlab.testing.tiny import tiny_task
from bebertlab_bebert.merging import WeightedMedianOptions, WeightedProbabilityOptions


@pytest.fixture(scope="module")
def task() -> Task:
    return tiny_task()


def certain(labels: np.ndarray) -> Floats:
    """Logits (N, 2) that predict labels, all with the same margin of 0.96."""
    return np.where(np.eye(2)[labels] > 0, 2.0, -2.0).astype(np.float32)


@pytest.fixture
def source(task: Task, tmp_path: Path) -> SourceFolders:
    """Two members; of the first, uncertain answers are wrong: a quarter of select, a half of validation."""
    folders = tmp_path / "first", tmp_path / "second"
    labels = {split: task.splits[split].labels for split in (SELECT, VALIDATION)}
    right = {split: certain(values) for split, values in labels.items()}
    first = {split: values.copy() for split, values in right.items()}
    for split, count in ((SELECT, 8), (VALIDATION, 16)):
        first[split][:count] *= -0.1
    for folder, logits in zip(folders, (first, right), strict=True):
        folder.mkdir()
        write_logits(logits, folder)
    return SourceFolders(folders=folders, weights=(1.0, 2.0), rule=WeightedProbabilityOptions())


def test_the_margin_comes_from_select_and_validation_is_only_scored(source: SourceFolders, task: Task) -> None:
    cascade = choose_cascade(source, task)
    uncertain = np.tanh(0.2)
    assert uncertain < cascade.margin < uncertain + 2e-4
    assert (cascade.tolerance, cascade.shares) == (0.1, (1.0, 0.25))
    assert cascade.select == cascade.full == Score(metric="accuracy", value=100.0, examples=32)
    assert cascade.validation == Score(metric="accuracy", value=100.0, examples=32)


def test_a_tolerance_saves_members(source: SourceFolders, task: Task) -> None:
    cascade = choose_cascade(source, task, tolerance=25)
    assert (cascade.margin, cascade.shares, cascade.select.value) == (0, (1.0, 0.0), 75)
    assert cascade.validation.value == 50


def test_what_has_no_cascade_is_refused(source: SourceFolders, task: Task) -> None:
    with pytest.raises(UserError, match="a cascade needs an ensemble"):
        choose_cascade(SourceFolders(folders=source.folders[:1]), task)
    with pytest.raises(UserError, match="a cascade needs the labels of the task"):
        choose_cascade(source, None)
    with pytest.raises(UserError, match="the model is a regression"):
        choose_cascade(evolve(source, rule=WeightedMedianOptions()), tiny_task(regression=True))


def test_missing_logits_are_named(source: SourceFolders, task: Task) -> None:
    (source.folders[1] / "logits.safetensors").unlink()
    with pytest.raises(UserError, match=r"second has no logits\.safetensors"):
        choose_cascade(source, task)
