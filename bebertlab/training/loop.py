"""The training loop: one phase of one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from time import perf_counter

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.data.batches import batches
from bebertlab.errors import TrainingDiverged, UserError
from bebertlab.inference.predict import keep_freed_memory
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.capabilities import SupportsProgress
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier
from bebertlab.model.compiled import compile_layers, plain_layers
from bebertlab.model.embedding import sparse_gradients
from bebertlab.model.precision import in_float, in_precision
from bebertlab.model.quantizer_errors import check_outputs
from bebertlab.model.slice import Network, phase_networks, target_of
from bebertlab.training.bert_adam import BertAdam
from bebertlab.training.objective import PhaseLoss
from bebertlab.training.optimizers import Optimizer, parameter_groups
from bebertlab.training.schedule import counted_steps, rate_factor
from bebertlab.training.seed import derive_seed, seeded
from bebertlab.training.selection import Selection
from bebertlab.training.setup import TrainingSetup, check_shared_tokens

#: how often in a phase the losses are read; reading them waits for the device
CHECKS = 20
SECONDS_BETWEEN_WORDS = 1.0


@frozen(kw_only=True)
class Training:
    """What a training took."""

    steps: int
    seconds: float
    teacher_seconds: float | None = None  #: None where no teacher was asked
    last: Mapping[str, Tensor] | None = None  #: the last state, if the session asks for it and it is not the one kept


def fit(model: BertClassifier, phase: Phase, setup: TrainingSetup) -> Training:
    """Train a model for one phase, in place, and leave it in its best state (see `Selection`) in evaluation mode.

    Bitwise repeatable for the same seed and number of threads: data order and dropout have seeds of their own.

    Raises:
        UserError: a loss needs a teacher and there is none, or cannot weigh examples as the round asks; or the phase
            trains sub-networks of a quantized model.
        TrainingDiverged: a loss is not finite.
    """
    start = perf_counter()
    taught = setup.teacher.seconds if setup.teacher else 0.0
    with under_way(model, phase, setup) as run:
        for _ in run.steps():
            pass
    asked = setup.teacher is not None and run.objective.needs_teacher
    return Training(
        steps=run.step,
        seconds=perf_counter() - start,
        teacher_seconds=setup.teacher.seconds - taught if setup.teacher and asked else None,
        last=run.last,
    )


@contextmanager
def under_way(model: BertClassifier, phase: Phase, setup: TrainingSetup) -> Iterator[Run]:
    """A phase whose steps are taken one by one, as `fit` does; whoever measures a training can wait between them."""
    keep_freed_memory()
    run = Run(model.to(setup.device), phase, setup)
    try:
        teaching = setup.teacher.at_work(setup.options.precision) if setup.teacher else nullcontext()
        # a GPU fills memory with zeros in no time, and would wait to count rows
        rows = sparse_gradients(*run.networks) if setup.device == "cpu" else nullcontext()
        with teaching, rows, seeded(derive_seed(setup.seed, "dropout", phase.name), setup.device):
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
        self._known = self._teacher_logits()
        self._batch_size = phase.batch_size or options.batch_size
        self._epochs = phase.epochs or options.epochs
        self._epoch_steps = counted_steps(setup.sampler.size, self._batch_size, 1)
        self._steps = self._epochs * self._epoch_steps
        self._scheduled_steps = counted_steps(
            setup.sampler.size, self._batch_size, self._epochs, as_published=options.published_schedule
        )
        self.step = 0
        self._losses: list[Tensor] = []  # since the last check
        self._selection: Selection | None = None
        self._told = perf_counter()
        quantizers = (module for module in model.modules() if isinstance(module, Quantizer))
        self._scheduled = [quantizer for quantizer in quantizers if isinstance(quantizer, SupportsProgress)]
        rate = (phase.learning_rate or options.learning_rate) * phase.learning_rate_factor
        groups = parameter_groups(model, model.quantizer_groups(), options, rate)
        optimizer = BertAdam if options.optimizer == "bertadam" else Optimizer
        self.optimizer = optimizer(groups, options.gradient_norm)

    @property
    def last(self) -> Mapping[str, Tensor] | None:
        """The state after the last step, where the session asks for it and an earlier one was better."""
        return None if self._selection is None else self._selection.last

    def _teacher_logits(self) -> Tensor | None:
        """The teacher's logits of all examples that may come, where they are all that is read of it."""
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
        """Train, step by step; each gives the number of steps that are done."""
        setup = self._setup
        weights = setup.sampler.loss_weights
        marks = _marks(self._epoch_steps, setup.options.evaluations)
        checks = _marks(self._steps, CHECKS)
        for network in self.networks:
            network.train()
        for epoch in range(self._epochs):
            plan = setup.sampler.epoch(self._phase.name, epoch, self._batch_size)
            for place, batch in enumerate(batches(setup.train, plan, weights=weights, device=setup.device), 1):
                self._train(batch)
                if self.step == 1 and setup.options.compile:
                    compile_layers(self._model)
                if self.step in checks:
                    self._check()
                if place in marks:
                    self._select(alone=self._epochs * len(marks) == 1)
                yield self.step

    def _train(self, batch: Batch) -> None:
        """One step. Nothing in here waits for the device."""
        start, end = self._setup.span
        for quantizer in self._scheduled:
            quantizer.progress(start + (end - start) * self.step / self._steps)
        target = self._target(batch)
        with check_outputs(self._model) if self.step == 0 else nullcontext():
            losses = [self._learn(network, batch, target) for network in self.networks]
        self._losses.append(losses[0] if len(losses) == 1 else torch.stack(losses).sum())
        options = self._setup.options
        factor = rate_factor(
            options.schedule,
            self.step,
            self._scheduled_steps,
            options.warmup,
            as_published=options.published_schedule,
        )
        self.optimizer.step(factor)
        self.step += 1

    def _learn(self, network: Network, batch: Batch, target: Outputs | None) -> Tensor:
        """Add the gradients of a network's loss to those of the model, and return the loss."""
        with in_precision(self._setup.options.precision, self._setup.device):
            student: Outputs = network(batch, self.objective.student_taps)
        if self._selection is None:
            student.logits.retain_grad()
        loss = self.objective(in_float(student), target_of(network, target), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._selection is None:
            untouched = student.logits.grad is None
            self._selection = Selection(
                self._model, self.objective, self._setup, by_loss=untouched, networks=self.networks
            )
        return loss.detach()

    def _target(self, batch: Batch) -> Outputs | None:
        if self._known is not None:
            return Outputs(logits=self._known.index_select(0, batch.positions), taps={})
        if self._setup.teacher is not None and self.objective.needs_teacher:
            dropout = self._setup.options.teacher_dropout
            return self._setup.teacher.answer(batch, self.objective.teacher_taps, dropout=dropout)
        return None

    def _select(self, *, alone: bool) -> None:
        if self._selection is not None and not alone:  # a single evaluation has nothing to choose from
            self._selection.consider(last=self.step == self._steps)

    def _check(self) -> None:
        """Read the losses since the last check, and tell how far it is."""
        finite = torch.isfinite(torch.stack(self._losses)).tolist()
        if not all(finite):
            raise TrainingDiverged(
                f"{self._setup.stage}: phase '{self._phase.name}':"
                f" the loss of step {self.step - len(finite) + finite.index(False) + 1} of {self._steps} is"
                f" {float(self._losses[finite.index(False)])}; a lower learning rate may help"
            )
        self._losses.clear()
        if perf_counter() - self._told >= SECONDS_BETWEEN_WORDS:
            self._told = perf_counter()
            epoch = -(-self.step // self._epoch_steps)
            self._setup.progress(self.step / self._steps, f"{self._phase.name}: epoch {epoch}/{self._epochs}")


def _marks(steps: int, number: int) -> frozenset[int]:
    """The last step of each of `number` equal parts.

    >>> sorted(_marks(10, 3))
    [4, 7, 10]
    """
    return frozenset(-(-steps * part // number) for part in range(1, number + 1))


def train_phases(model: BertClassifier, phases: Sequence[Phase], setup: TrainingSetup) -> Training:
    """Train a model, in place, through all phases; each starts from the best state of the one before.

    The phases are those that `resolve_phases` gives.

    Raises:
        UserError: a phase needs a teacher and there is none, or cannot weigh examples as the round asks.
        TrainingDiverged: a loss is not finite.
    """
    done = [fit(model, phase, _part(setup, i, len(phases))) for i, phase in enumerate(phases)]
    asked = [part.teacher_seconds for part in done if part.teacher_seconds is not None]
    return Training(
        steps=sum(part.steps for part in done),
        seconds=sum(part.seconds for part in done),
        teacher_seconds=sum(asked) if asked else None,
        last=done[-1].last,
    )


def need_teacher(phases: Sequence[Phase], classes: int) -> bool:
    """Whether a loss of a phase reads a teacher, for a task of `classes` classes (1 for regression).

    Raises:
        UserError: a loss makes no sense for that number of classes.
    """
    return any(loss.build(classes).needs_teacher for phase in phases for loss in phase.losses)


def _part(setup: TrainingSetup, index: int, parts: int) -> TrainingSetup:
    """The session of one of several phases, each an equal part of the training."""

    def tell(fraction: float, text: str) -> None:
        setup.progress((index + fraction) / parts, text)

    last = setup.keep_last and index == parts - 1
    return evolve(setup, progress=tell, span=(index / parts, (index + 1) / parts), keep_last=last)
