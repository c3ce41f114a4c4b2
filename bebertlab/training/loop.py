"""The training loop: the phases of one model, and their learning curve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from time import perf_counter
from types import MappingProxyType

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from bebertlab.data.batches import batches
from bebertlab.errors import TrainingDiverged, UserError
from bebertlab.inference.predict import keep_freed_memory
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.capabilities import SupportsProgress
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.metric_names import TRAIN_LEARNING_RATE, TRAIN_LOSS
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.compiled import compile_layers, plain_layers
from bebertlab.model.embedding import sparse_gradients
from bebertlab.model.precision import in_float, in_precision
from bebertlab.model.quantizer_codes import check_activation_codes, check_weight_codes
from bebertlab.model.quantizer_errors import check_outputs
from bebertlab.model.slice import Network, phase_networks, target_of
from bebertlab.training.bert_adam import BertAdam
from bebertlab.training.curve import CurveRecorder, LearningCurve, select_value, term_value
from bebertlab.training.objective import LossValue, PhaseLoss
from bebertlab.training.optimizers import Optimizer, parameter_groups
from bebertlab.training.schedule import counted_steps, part_ends, rate_factor
from bebertlab.training.seed import derive_seed, seeded
from bebertlab.training.selection import Selection
from bebertlab.training.setup import TrainingSetup, check_shared_tokens

#: how often in a phase the losses are read, besides before each evaluation; reading them waits for the device
CHECKS = 20
PROGRESS_SECONDS = 1.0  #: between two progress reports, those of evaluations and the last one of a phase excepted

_NO_VALUES: Mapping[str, float] = MappingProxyType({})


@frozen(kw_only=True)
class Training:
    """The duration and the recorded curve of a training."""

    steps: int
    seconds: float
    teacher_seconds: float | None = None  #: in the teacher; None if no loss reads one
    last: Mapping[str, Tensor] | None = None  #: the last state, if the setup asks for it and another one was kept
    curve: LearningCurve = field(factory=LearningCurve)


def fit(model: BertClassifier, phase: Phase, setup: TrainingSetup) -> Training:
    """Train a model for one phase, in place, and leave it in its best state (see `Selection`) in evaluation mode.

    Bitwise repeatable for the same seed and number of threads: the order of the data and dropout have separate seeds.

    Raises:
        UserError: a loss needs a teacher and there is none, or it cannot weight examples as the ensemble requires; or
            the phase trains sub-networks of a quantized model.
        TrainingDiverged: a loss is not finite.
    """
    start = perf_counter()
    teacher_start = setup.teacher.seconds if setup.teacher else 0.0
    with started_phase(model, phase, setup) as run:
        for _ in run.steps():
            pass
    teacher = setup.teacher if run.objective.needs_teacher else None
    return Training(
        steps=run.step,
        seconds=perf_counter() - start,
        teacher_seconds=teacher.seconds - teacher_start if teacher else None,
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


class Run:
    """The state of a phase."""

    def __init__(self, model: BertClassifier, phase: Phase, setup: TrainingSetup) -> None:
        options = setup.options
        self._model, self._phase, self._setup = model, phase, setup
        self.networks = phase_networks(model, phase, setup.stage)
        self.objective = PhaseLoss(phase.losses, setup.task.outputs)
        self.objective.check_sample_weights(setup.round)
        self._known_logits = self._teacher_logits()
        self._batch_size = phase.batch_size or options.batch_size
        self._epochs = phase.epochs or options.epochs
        self._epoch_steps = counted_steps(setup.sampler.size, self._batch_size, 1)
        self._steps = self._epochs * self._epoch_steps
        self._scheduled_steps = counted_steps(
            setup.sampler.size, self._batch_size, self._epochs, as_published=options.published_schedule
        )
        self.step = 0
        self._rate = (phase.learning_rate or options.learning_rate) * phase.learning_rate_factor
        self._unread: list[_Step] = []  # steps whose losses are still on the device
        self.curve = CurveRecorder(phase.name, steps=self._steps, epoch_steps=self._epoch_steps)
        self._selection: Selection | None = None
        self._reported = perf_counter()
        quantizers = (module for module in model.modules() if isinstance(module, Quantizer))
        self._scheduled = [quantizer for quantizer in quantizers if isinstance(quantizer, SupportsProgress)]
        groups = parameter_groups(model, model.quantizer_groups(), options, self._rate)
        optimizer = BertAdam if options.optimizer == "bertadam" else Optimizer
        self.optimizer = optimizer(groups, options.gradient_norm)

    @property
    def last(self) -> Mapping[str, Tensor] | None:
        """The state after the last step, where the setup asks for it and an earlier one was better."""
        return None if self._selection is None else self._selection.last

    def _teacher_logits(self) -> Tensor | None:
        """The teacher's logits of the train split; None where a loss reads more of the teacher, or none reads it."""
        if not self.objective.needs_teacher:
            return None
        if self._setup.teacher is None:
            raise UserError(
                f"{self._setup.stage}: phase '{self._phase.name}' has a loss that needs a teacher;"
                " give the stage a `teacher`, or a distillation that needs none"
            )
        if self.objective.teacher_taps or self._setup.options.teacher_dropout:
            check_shared_tokens(self._setup, f"phase '{self._phase.name}'")
            return None
        precision, subset = self._setup.options.precision, self._setup.sampler.subset
        return self._setup.teacher.logits(self._setup.teacher_view.train, precision, subset)

    def steps(self) -> Iterator[int]:
        """Train, step by step; yields the number of completed steps."""
        setup = self._setup
        weights = setup.sampler.loss_weights
        evaluations = part_ends(self._epoch_steps, setup.options.evaluations)
        checks = part_ends(self._steps, CHECKS)
        # the state of a single evaluation is always kept
        selects = self._epochs * len(evaluations) > 1
        for network in self.networks:
            network.train()
        for epoch in range(self._epochs):
            plan = setup.sampler.epoch(self._phase.name, epoch, self._batch_size)
            for number, batch in enumerate(batches(setup.train, plan, weights=weights, device=setup.device), 1):
                self._train(batch)
                if self.step == 1 and setup.options.compile:
                    compile_layers(self._model)
                evaluates = selects and number in evaluations
                self._report_progress(check=self.step in checks or evaluates)
                if evaluates:
                    self._evaluate()
                yield self.step

    def _train(self, batch: Batch) -> None:
        """One step, which does not wait for the device."""
        start, end = self._setup.span
        for quantizer in self._scheduled:
            quantizer.progress(start + (end - start) * self.step / self._steps)
        target = self._target(batch)
        with self._quantizer_checks() if self.step == 0 else nullcontext():
            values = [self._backward(network, batch, target) for network in self.networks]
        options = self._setup.options
        factor = rate_factor(
            options.schedule,
            self.step,
            self._scheduled_steps,
            options.warmup,
            as_published=options.published_schedule,
        )
        self._unread.append(_Step(values, factor * self._rate))
        self.optimizer.step(factor)
        self.step += 1

    @contextmanager
    def _quantizer_checks(self) -> Iterator[None]:
        """Within, a quantizer that breaks its contract is an error, before it costs a whole training."""
        check_weight_codes(self._model)
        with check_outputs(self._model), check_activation_codes(self._model):
            yield

    def _backward(self, network: Network, batch: Batch, target: Outputs | None) -> LossValue:
        """Add the gradients of a network's loss to those of the model, and return the loss."""
        with in_precision(self._setup.options.precision, self._setup.device):
            student: Outputs = network(batch, self.objective.student_taps)
        if self._selection is None:
            student.logits.retain_grad()
        value = self.objective.value(in_float(student), target_of(network, target), batch)
        value.total.backward()  # type: ignore[no-untyped-call]
        if self._selection is None:
            untouched = student.logits.grad is None
            self._selection = Selection(
                self._model, self.objective, self._setup, by_loss=untouched, networks=self.networks
            )
        return value.detached()

    def _target(self, batch: Batch) -> Outputs | None:
        if self._known_logits is not None:
            return Outputs(logits=self._known_logits.index_select(0, batch.positions), taps={})
        if self._setup.teacher is not None and self.objective.needs_teacher:
            dropout = self._setup.options.teacher_dropout
            return self._setup.teacher.answer(batch, self.objective.teacher_taps, dropout=dropout)
        return None

    def _evaluate(self) -> None:
        if self._selection is None:
            return
        evaluation = self._selection.consider(last=self.step == self._steps)
        self.curve.add_evaluation(self.step, evaluation.value, evaluation.measure, best=evaluation.best)
        self._report({select_value(evaluation.measure): evaluation.value})

    def _report_progress(self, *, check: bool) -> None:
        """Read the losses of the steps since the last check; report progress where the last report is old."""
        if check:
            self._read_losses()
        if self.step == self._steps or perf_counter() - self._reported >= PROGRESS_SECONDS:
            self._report(self._training_values() if check else _NO_VALUES)

    def _read_losses(self) -> None:
        """Move the losses from the device to the learning curve, in one copy.

        Raises:
            TrainingDiverged: one is not finite.
        """
        first = self.step - len(self._unread) + 1
        values = iter(torch.cat([tensor for step in self._unread for tensor in step.tensors]).tolist())
        for number, step in enumerate(self._unread, first):
            total = sum(next(values) for _ in step.networks)
            if not math.isfinite(total):
                raise TrainingDiverged(
                    f"{self._setup.stage}: phase '{self._phase.name}': the loss of step {number} of {self._steps} is"
                    f" {total}; a lower learning rate may help"
                )
            terms = [(name, next(values)) for network in step.networks for name in network.names]
            self.curve.add_step(total, terms, step.learning_rate)
        self._unread.clear()

    def _training_values(self) -> Mapping[str, float]:
        point = self.curve.last
        if point is None:
            return _NO_VALUES
        terms = {term_value(name): value for name, value in point.terms.items()} if len(point.terms) > 1 else {}
        return {TRAIN_LOSS: point.loss, **terms, TRAIN_LEARNING_RATE: point.learning_rate}

    def _report(self, values: Mapping[str, float]) -> None:
        self._reported = perf_counter()
        epoch = -(-self.step // self._epoch_steps)
        self._setup.progress(
            self.step / self._steps,
            f"{self._phase.name}: epoch {epoch}/{self._epochs}",
            values,
            step=self.step,
            epoch=self.step / self._epoch_steps,
        )


class _Step:
    """The losses of a step, not read yet."""

    __slots__ = ("learning_rate", "networks")

    def __init__(self, networks: Sequence[LossValue], learning_rate: float) -> None:
        self.networks = networks
        self.learning_rate = learning_rate

    @property
    def tensors(self) -> Iterator[Tensor]:
        """One-dimensional: the totals of all networks, then their terms."""
        for network in self.networks:
            yield network.total.reshape(1)
        for network in self.networks:
            yield from network.terms


def train_phases(model: BertClassifier, phases: Sequence[Phase], setup: TrainingSetup) -> Training:
    """Train a model, in place, through all phases; each starts from the best state of the previous one.

    The phases are those that `resolve_phases` returns.

    Raises:
        UserError: a phase needs a teacher and there is none, or cannot weight examples as the ensemble requires.
        TrainingDiverged: a loss is not finite.
    """
    trainings: list[Training] = []
    for index, phase in enumerate(phases):
        before = LearningCurve.joined(training.curve for training in trainings)
        trainings.append(fit(model, phase, _phase_setup(setup, index, len(phases), before)))
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
