"""A tiny task, its examples and a training on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from torch import Tensor

from bebertlab.data.examples import Examples, load_examples
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.interfaces.task import SELECT, TRAIN, Task
from bebertlab.testing.tiny import tiny_task, tiny_tokenizer
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.options import TrainOptions
from bebertlab.training.setup import TrainingSetup

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]


@pytest.fixture(scope="session")
def task() -> Task:
    return tiny_task()


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def examples(task: Task, tokenizer: Path) -> Examples:
    return load_examples(task, TRAIN, tokenizer, 32)


@pytest.fixture
def set_up_training(task: Task, tokenizer: Path) -> SetUpTraining:
    """Makes setups on the tiny task; keywords are those of `TrainingSetup`, and of `TrainOptions` as `train_...`."""

    def opened(**given: Any) -> TrainingSetup:  # noqa: ANN401 - fields of two classes
        train = {key.removeprefix("train_"): given.pop(key) for key in list(given) if key.startswith("train_")}
        data = given.pop("task", task)
        return TrainingSetup(
            **{
                "stage": "student",
                "task": data,
                "train": load_examples(data, TRAIN, tokenizer, 32),
                "select": load_examples(data, SELECT, tokenizer, 32),
                "options": TrainOptions(**{"learning_rate": 3e-3, "epochs": 2, "batch_size": 16, **train}),
                "seed": 0,
                **given,
            }
        )

    return opened


@pytest.fixture
def labels_phase() -> Phase:
    return Phase(name="labels", losses=(LabelsOptions(),))


@frozen(kw_only=True)
class ImitateOptions(LossOptions):
    """Squared difference to the teacher, of logits and of taps; scalar where `whole`."""

    kind = "imitate"
    logits: bool = True
    taps: frozenset[Tap] = frozenset()
    whole: bool = False

    def build(self, classes: int) -> Imitate:
        return Imitate(self)


class Imitate(Loss):
    needs_teacher = True

    def __init__(self, options: ImitateOptions) -> None:
        self._options = options
        self.student_taps = self.teacher_taps = options.taps
        self.per_example = not options.whole

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Mapping[str, Tensor]:
        assert teacher is not None
        assert student.taps.keys() == self.student_taps
        pairs = [(student.logits, teacher.logits)] if self._options.logits else []
        for tap in sorted(self._options.taps):
            pairs += zip(student.taps[tap], teacher.taps[tap], strict=True)
        terms = [(a - b).square().flatten(1).mean(dim=1) for a, b in pairs]
        if self._options.whole:
            return {str(i): term.mean() for i, term in enumerate(terms)}
        return {str(i): term for i, term in enumerate(terms)}


@frozen(kw_only=True)
class ExplodeOptions(LossOptions):
    """Gold labels until a step, infinite from then on."""

    kind = "explode"
    step: int = 0

    def build(self, classes: int) -> Explode:
        return Explode(self.step, classes)


class Explode(Loss):
    needs_teacher = False
    student_taps = frozenset()
    teacher_taps = frozenset()
    per_example = True

    def __init__(self, step: int, classes: int) -> None:
        self._left = step
        self._labels = LabelsOptions().build(classes)

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Mapping[str, Tensor]:
        self._left -= 1
        values = self._labels(student, teacher, batch)["labels"]
        return {"explode": values if self._left > 0 else values * float("inf")}


@pytest.fixture
def imitate() -> MakeLoss:
    return ImitateOptions


@pytest.fixture
def explode() -> MakeLoss:
    return ExplodeOptions
