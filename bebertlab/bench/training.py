"""Trainings that go on a few steps at a time, through the loop that stages use."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from bebertlab.bench.clock import timed
from bebertlab.bench.data import generated_examples, generated_task
from bebertlab.bench.lengths import sentence_lengths
from bebertlab.bench.sampling import FewBatches
from bebertlab.bench.setting import Setting
from bebertlab.data.batches import POOL
from bebertlab.interfaces.distillation import DistillationOptions, Phase, resolve_phases
from bebertlab.model.bert import BertClassifier
from bebertlab.training.labels import NoneOptions
from bebertlab.training.loop import under_way
from bebertlab.training.options import TrainOptions
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

#: a little over the mean of SST-2
TOKENS = 16
_SELECT = 8  # examples that nothing is chosen on: a phase of one epoch keeps its last state


class Steps:
    """A phase of `fit` that waits after every step until it is told to go on."""

    def __init__(self, model: BertClassifier, phase: Phase, setup: TrainingSetup) -> None:
        self._device = setup.device
        self._open = ExitStack()
        self.run = self._open.enter_context(under_way(model, evolve(phase, epochs=1), setup))
        self._steps = self.run.steps()

    def take(self, steps: int) -> float:
        """Train so many steps, and say how many seconds they took."""
        return timed(lambda: [next(self._steps) for _ in range(steps)], self._device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the memory of the optimizer back."""
        self._open.__exit__(kind, error, trace)


def equal_setup(
    setting: Setting,
    steps: int,
    tokens: int = TOKENS,
    *,
    teacher: Teacher | None = None,
    options: TrainOptions | None = None,
) -> TrainingSetup:
    """A training of so many steps on sentences that are all equally long."""
    lengths = np.full(steps * setting.batch_size, tokens, dtype=np.int64)
    return _setup(setting, lengths, teacher=teacher, options=options)


def mixed_setup(setting: Setting, steps: int, warm_up: int, *, options: TrainOptions | None = None) -> TrainingSetup:
    """A training on sentences as long as those of SST-2, padded as in a long epoch: steps to warm up, then others."""
    lengths = sentence_lengths(POOL * setting.batch_size, setting.seed)
    setup = _setup(setting, lengths, options=options)
    return evolve(setup, sampler=FewBatches(seed=setting.seed, lengths=lengths, warm_up=warm_up, steps=steps))


def _setup(
    setting: Setting,
    lengths: NDArray[np.int64],
    *,
    teacher: Teacher | None = None,
    options: TrainOptions | None = None,
) -> TrainingSetup:
    """On generated examples of these lengths; the same setting and lengths give the same batches."""
    train = generated_examples(lengths, setting.sizes, setting.seed)
    select = generated_examples(lengths[:_SELECT], setting.sizes, setting.seed + 1)
    return TrainingSetup(
        stage="bench",
        task=generated_task(train, select),
        train=train,
        select=select,
        options=evolve(options or TrainOptions(), batch_size=setting.batch_size),
        seed=setting.seed,
        teacher=teacher,
        device=setting.device,
    )


def train_options(setting: Setting, **values: object) -> TrainOptions:
    """How a training goes, where it differs from the defaults.

    Raises:
        UserError: there is no such option.
    """
    return setting.codec.load(values, TrainOptions)


def phases(setting: Setting, distillation: str) -> tuple[Phase, ...]:
    """The phases of a distillation with its defaults, e.g. "two-stage"; "none" is gold labels."""
    if distillation == NoneOptions.kind:
        options: DistillationOptions = NoneOptions()
    else:
        options = setting.codec.load(distillation, DistillationOptions)  # type: ignore[type-abstract]
    return resolve_phases(options, setting.codec)


def labels_phase() -> Phase:
    """Training on gold labels."""
    (phase,) = NoneOptions().phases()
    return phase
