"""The training loop: the phases of one model, and their learning curve."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import MappingProxyType

from attrs import evolve

from bebertlab.inference.predict import keep_freed_memory
from bebertlab.interfaces.distillation import Phase
from bebertlab.model.bert import BertClassifier
from bebertlab.model.compiled import plain_layers
from bebertlab.model.embedding import sparse_gradients
from bebertlab.training.curve import LearningCurve
from bebertlab.training.result import Training
from bebertlab.training.resume import Checkpoints
from bebertlab.training.run import Run
from bebertlab.training.seed import derive_seed, seeded
from bebertlab.training.setup import TrainingSetup

_log = logging.getLogger(__name__)

_NO_VALUES: Mapping[str, float] = MappingProxyType({})


def fit(model: BertClassifier, phase: Phase, setup: TrainingSetup, checkpoints: Checkpoints | None = None) -> Training:
    """Train a model for one phase, in place, and leave it in its best state (see `Selection`) in evaluation mode.

    Bitwise repeatable for the same seed and number of threads: the order of the data and dropout have separate seeds.
    A phase of which `checkpoints` have the state continues from it, and ends as if it had not been interrupted.

    Raises:
        UserError: a loss needs a teacher and there is none, or it cannot weight examples as the ensemble requires; or
            the phase trains sub-networks of a quantized model.
        TrainingDiverged: a loss is not finite.
    """
    with started_phase(model, phase, setup) as run:
        if checkpoints is not None and (saved := checkpoints.resumed()) is not None:
            run.restore(saved)
        for step in run.steps():
            if checkpoints is not None and step < run.length:
                checkpoints.save_if_due(run.state)
    return Training(
        steps=run.step,
        seconds=run.seconds,
        teacher_seconds=run.teacher_seconds if run.objective.needs_teacher else None,
        last=run.last,
        curve=run.curve.curve(),
    )


@contextmanager
def started_phase(model: BertClassifier, phase: Phase, setup: TrainingSetup) -> Iterator[Run]:
    """A phase that advances step by step, as in `fit`; benchmarks pause between steps."""
    keep_freed_memory()
    run = Run(model.to(setup.device), phase, setup)
    try:
        teaching = setup.teacher.at_work(setup.options.precision) if setup.teacher else nullcontext()
        # filling memory with zeros is cheap on a GPU, while counting rows would wait for the device
        sparse = sparse_gradients(*run.networks) if setup.device == "cpu" else nullcontext()
        with teaching, sparse, seeded(derive_seed(setup.seed, "dropout", phase.name), setup.device):
            yield run
    finally:
        run.optimizer.release()
        plain_layers(model)
        model.eval()


def train_phases(model: BertClassifier, phases: Sequence[Phase], setup: TrainingSetup) -> Training:
    """Train a model, in place, through all phases; each starts from the best state of the previous one.

    The phases are those that `resolve_phases` returns.

    Raises:
        UserError: a phase needs a teacher and there is none, or cannot weight examples as the ensemble requires.
        TrainingDiverged: a loss is not finite.
    """
    checkpoints = Checkpoints(setup, phases, model)
    trainings = checkpoints.finished
    for step, epoch, values in LearningCurve.joined(training.curve for training in trainings).values():
        setup.progress(len(trainings) / len(phases), "", values, step=step, epoch=epoch)
    for index, phase in [*enumerate(phases)][len(trainings) :]:
        before = LearningCurve.joined(training.curve for training in trainings)
        trainings.append(fit(model, phase, _phase_setup(setup, index, len(phases), before), checkpoints))
    teacher_seconds = [part.teacher_seconds for part in trainings if part.teacher_seconds is not None]
    return Training(
        steps=sum(part.steps for part in trainings),
        seconds=sum(part.seconds for part in trainings),
        teacher_seconds=sum(teacher_seconds) if teacher_seconds else None,
        last=trainings[-1].last,
        curve=LearningCurve.joined(part.curve for part in trainings),
    )


def need_teacher(phases: Sequence[Phase], classes: int) -> bool:
    """Whether a loss of a phase reads a teacher, for a task of `classes` classes (1 for regression).

    Raises:
        UserError: a loss does not support that number of classes.
    """
    return any(loss.build(classes).needs_teacher for phase in phases for loss in phase.losses)


def _phase_setup(setup: TrainingSetup, index: int, count: int, before: LearningCurve) -> TrainingSetup:
    """The setup of one of `count` phases, each an equal part of the training, after those whose curves are given."""

    def report(
        fraction: float,
        text: str,
        values: Mapping[str, float] = _NO_VALUES,
        *,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        setup.progress(
            (index + fraction) / count,
            text,
            values,
            step=None if step is None else before.steps + step,
            epoch=None if epoch is None else before.epochs + epoch,
        )

    keep_last = setup.keep_last and index == count - 1
    return evolve(setup, progress=report, span=(index / count, (index + 1) / count), keep_last=keep_last)
