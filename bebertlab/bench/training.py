"""Training that advances by a given number of steps, through the same loop as the stages."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from bebertlab.bench.data import RepresentativeBatches, generated_examples, generated_task, sentence_lengths
from bebertlab.bench.measurement import timed
from bebertlab.bench.models import BenchConfig
from bebertlab.data.batches import POOL
from bebertlab.interfaces.distillation import DistillationOptions, Phase, resolve_phases
from bebertlab.model.bert import BertClassifier
from bebertlab.training.labels import NoneOptions
from bebertlab.training.loop import started_phase
from bebertlab.training.options import TrainOptions
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

#: length of sentences that are all equally long: a little over the mean of SST-2
TOKENS = 16
_SELECT_EXAMPLES = 8  # unused: a phase of one epoch keeps its last state


class StepwiseTraining:
    """A training phase that runs by the requested number of steps; a context manager."""

    def __init__(self, model: BertClassifier, phase: Phase, setup: TrainingSetup) -> None:
        self._device = setup.device
        self._stack = ExitStack()
        self.run = self._stack.enter_context(started_phase(model, evolve(phase, epochs=1), setup))
        self._steps = self.run.steps()

    def train(self, steps: int) -> float:
        """Train for `steps` steps and return the seconds they took."""
        return timed(lambda: [next(self._steps) for _ in range(steps)], self._device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the memory of the optimizer."""
        self._stack.__exit__(kind, error, trace)


def train_labels(model: BertClassifier, setup: TrainingSetup) -> StepwiseTraining:
    """Stepwise training of a model on gold labels."""
    return StepwiseTraining(model, labels_phase(), setup)


def equal_length_setup(
    config: BenchConfig,
    steps: int,
    tokens: int = TOKENS,
    *,
    teacher: Teacher | None = None,
    options: TrainOptions | None = None,
) -> TrainingSetup:
    """Setup of at most `steps` steps on sentences of `tokens` tokens each."""
    lengths = np.full(steps * config.batch_size, tokens, dtype=np.int64)
    return _setup(config, lengths, teacher=teacher, options=options)


def sst2_length_setup(
    config: BenchConfig, steps: int, warm_up: int, *, options: TrainOptions | None = None
) -> TrainingSetup:
    """Setup of `warm_up` and then `steps` steps on sentences as long as those of SST-2, padded as in a full epoch."""
    lengths = sentence_lengths(POOL * config.batch_size, config.seed)
    sampler = RepresentativeBatches(seed=config.seed, lengths=lengths, warm_up=warm_up, steps=steps)
    return evolve(_setup(config, lengths, options=options), sampler=sampler)


def _setup(
    config: BenchConfig,
    lengths: NDArray[np.int64],
    *,
    teacher: Teacher | None = None,
    options: TrainOptions | None = None,
) -> TrainingSetup:
    train = generated_examples(lengths, config.architecture, config.seed)
    select = generated_examples(lengths[:_SELECT_EXAMPLES], config.architecture, config.seed + 1)
    return TrainingSetup(
        stage="bench",
        task=generated_task(train, select),
        train=train,
        select=select,
        options=evolve(options or TrainOptions(), batch_size=config.batch_size),
        seed=config.seed,
        teacher=teacher,
        device=config.device,
    )


def train_options(config: BenchConfig, **values: object) -> TrainOptions:
    """Training options with these values and defaults otherwise.

    Raises:
        UserError: unknown option or invalid value.
    """
    return config.codec.load(values, TrainOptions)


def distillation_phases(config: BenchConfig, kind: str) -> tuple[Phase, ...]:
    """The phases of a kind of distillation with default options, e.g. "two-stage"."""
    options = config.codec.load(kind, DistillationOptions)  # type: ignore[type-abstract]
    return resolve_phases(options, config.codec)


def labels_phase() -> Phase:
    """Training on gold labels."""
    (phase,) = NoneOptions().phases()
    return phase
