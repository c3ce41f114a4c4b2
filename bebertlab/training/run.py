"""One phase of a training, step by step."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from time import perf_counter
from types import MappingProxyType

import torch
from torch import Tensor

from bebertlab.data.batches import batches
from bebertlab.errors import TrainingDiverged, UserError
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.capabilities import SupportsProgress
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.interfaces.training_state import TrainingState
from bebertlab.model.bert import BertClassifier
from bebertlab.model.compiled import compile_layers
from bebertlab.model.precision import in_float, in_precision
from bebertlab.model.quantizer_codes import check_activation_codes, check_weight_codes
from bebertlab.model.quantizer_errors import check_outputs
from bebertlab.model.slice import Network, phase_networks, target_of
from bebertlab.training.bert_adam import BertAdam
from bebertlab.training.curve import CurveRecorder, select_value
from bebertlab.training.micro_batches import MicroBatches, merged_loss
from bebertlab.training.objective import LossValue, PhaseLoss
from bebertlab.training.optimizers import Optimizer, parameter_groups
from bebertlab.training.resume import restore_tensors, tensors_of
from bebertlab.training.schedule import counted_steps, part_ends, rate_factor
from bebertlab.training.seed import generator_states, restore_generators
from bebertlab.training.selection import Selection
from bebertlab.training.setup import TrainingSetup, check_shared_tokens

#: how often in a phase the losses are read, besides before each evaluation; reading them waits for the device
CHECKS = 20
PROGRESS_SECONDS = 1.0  #: between two progress reports, those of evaluations and the last one of a phase excepted

_log = logging.getLogger(__name__)

_NO_VALUES: Mapping[str, float] = MappingProxyType({})


class Run:
    """The state of a phase."""

    def __init__(self, model: BertClassifier, phase: Phase, setup: TrainingSetup) -> None:
        options = setup.options
        self._model, self._phase, self._setup = model, phase, setup
        self._start = perf_counter()
        self._teacher_start = setup.teacher.seconds if setup.teacher else 0.0
        self.networks = phase_networks(model, phase, setup.stage)
        self.objective = PhaseLoss(phase.losses, setup.task.outputs)
        self.objective.check_sample_weights(setup.round)
        self._known_logits = self._teacher_logits()
        self._batch_size = phase.batch_size or options.batch_size
        self._epochs = phase.epochs or options.epochs
        self._epoch_steps = counted_steps(setup.sampler.size, self._batch_size, 1)
        self.length = self._epochs * self._epoch_steps
        self._scheduled_steps = counted_steps(
            setup.sampler.size, self._batch_size, self._epochs, as_published=options.published_schedule
        )
        self.step = 0
        self._micro_batches = MicroBatches(options.micro_batch_size, setup.stage, setup.warn)
        self._rate = (phase.learning_rate or options.learning_rate) * phase.learning_rate_factor
        self._unread: list[_Step] = []  # steps whose losses are still on the device
        self.curve = CurveRecorder(phase.name, steps=self.length, epoch_steps=self._epoch_steps)
        self._selection: Selection | None = None
        self._reported = perf_counter()
        quantizers = (module for module in model.modules() if isinstance(module, Quantizer))
        self._scheduled = [quantizer for quantizer in quantizers if isinstance(quantizer, SupportsProgress)]
        groups = parameter_groups(model, model.quantizer_groups(), options, self._rate)
        optimizer = BertAdam if options.optimizer == "bertadam" else Optimizer
        self.optimizer = optimizer(groups, options.gradient_norm)

    @property
    def seconds(self) -> float:
        """Since the phase began, without the time between an interruption and the restart."""
        return perf_counter() - self._start

    @property
    def teacher_seconds(self) -> float:
        """Of these, those in the teacher."""
        return self._setup.teacher.seconds - self._teacher_start if self._setup.teacher else 0.0

    def state(self) -> TrainingState:
        """Everything that the phase needs to continue after the current step, which is not the last one."""
        if self._unread:
            self._read_losses()
        parts = {
            "model": TrainingState(tensors=tensors_of(self._model)),
            "optimizer": self.optimizer.state(),
            "curve": self.curve.state(),
            "generators": TrainingState(tensors=generator_states(self._setup.device)),
        }
        if self._selection is not None:
            parts["selection"] = self._selection.state()
        return TrainingState.joined(
            parts,
            step=self.step,
            seconds=self.seconds,
            teacher_seconds=self.teacher_seconds,
            micro_batch_size=self._micro_batches.size,
            was_halved=self._micro_batches.was_halved,
        )

    def restore(self, state: TrainingState) -> None:
        """Continue from a state; called before `steps`, in the context of `started_phase`."""
        data = state.data
        self.step = data["step"]
        self._start -= data["seconds"]
        self._teacher_start -= data["teacher_seconds"]
        restore_tensors(self._model, state.part("model").tensors)
        self.optimizer.restore(state.part("optimizer"))
        self.curve.restore(state.part("curve"))
        selection = state.part("selection")
        self._selection = self._new_selection(by_loss=selection.data["by_loss"])
        self._selection.restore(selection)
        self._micro_batches.restore(data["micro_batch_size"], was_halved=data["was_halved"])
        if self._setup.options.compile:
            compile_layers(self._model)
        restore_generators(state.part("generators").tensors, self._setup.device)
        self._report_resumed(state.age_seconds)

    def _report_resumed(self, age_seconds: float) -> None:
        """Say where the phase continues, and report its values so far: observers may have lost some of them."""
        minutes = round(age_seconds / 60)
        text = (
            f"{self._phase.name}: resumed at step {self.step} of {self.length}"
            f" (saved {minutes // 60}:{minutes % 60:02} ago)"
        )
        _log.info("%s: %s", self._setup.stage, text)
        self._setup.progress(0.0, text)
        for step, epoch, values in self.curve.curve().values():
            self._setup.progress(self.step / self.length, text, values, step=step, epoch=epoch)

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
        checks = part_ends(self.length, CHECKS)
        # the state of a single evaluation is always kept
        selects = self._epochs * len(evaluations) > 1
        for network in self.networks:
            network.train()
        first, done = divmod(self.step, self._epoch_steps)
        for epoch in range(first, self._epochs):
            plan = setup.sampler.epoch(self._phase.name, epoch, self._batch_size).after(done)
            for number, batch in enumerate(batches(setup.train, plan, weights=weights, device=setup.device), done + 1):
                self._train(batch)
                if self.step == 1 and setup.options.compile:
                    compile_layers(self._model)
                evaluates = selects and number in evaluations
                self._report_progress(check=self.step in checks or evaluates)
                if evaluates:
                    self._evaluate()
                yield self.step
            done = 0

    def _train(self, batch: Batch) -> None:
        """One step, which does not wait for the device."""
        start, end = self._setup.span
        for quantizer in self._scheduled:
            quantizer.progress(start + (end - start) * self.step / self.length)
        with self._quantizer_checks() if self.step == 0 else nullcontext():
            values = self._add_gradients(batch)
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

    def _add_gradients(self, batch: Batch) -> list[LossValue]:
        """Compute the gradients, in smaller parts where the memory does not suffice; returns each network's loss."""
        generators = generator_states(self._setup.device)
        while True:
            try:
                return self._add_parts(self._micro_batches.split(batch))
            except torch.OutOfMemoryError:
                self._micro_batches.halve(batch)
            # outside of `except`, where the error keeps the tensors of the model's layers
            self.optimizer.clear()
            restore_generators(generators, self._setup.device)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _add_parts(self, parts: Sequence[Batch]) -> list[LossValue]:
        """Add the gradients of the parts of a batch, by their numbers of examples."""
        count = sum(len(part.positions) for part in parts)
        shares = [len(part.positions) / count for part in parts]
        values = []
        for part, share in zip(parts, shares, strict=True):
            target = self._target(part)
            values.append([self._backward(network, part, target, share) for network in self.networks])
        if len(parts) == 1:
            return values[0]
        return [merged_loss(column, shares) for column in zip(*values, strict=True)]

    def _backward(self, network: Network, batch: Batch, target: Outputs | None, share: float) -> LossValue:
        """Add the gradients of a share of a network's loss to those of the model, and return the loss."""
        with in_precision(self._setup.options.precision, self._setup.device):
            student: Outputs = network(batch, self.objective.student_taps)
        if self._selection is None:
            student.logits.retain_grad()
        value = self.objective.value(in_float(student), target_of(network, target), batch)
        total = value.total if share == 1.0 else share * value.total
        total.backward()  # type: ignore[no-untyped-call]
        if self._selection is None:
            untouched = student.logits.grad is None
            self._selection = self._new_selection(by_loss=untouched)
        return value.detached()

    def _new_selection(self, *, by_loss: bool) -> Selection:
        return Selection(self._model, self.objective, self._setup, by_loss=by_loss, networks=self.networks)

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
        evaluation = self._selection.consider(last=self.step == self.length)
        self.curve.add_evaluation(self.step, evaluation.value, evaluation.measure, best=evaluation.best)
        self._report({select_value(evaluation.measure): evaluation.value})

    def _report_progress(self, *, check: bool) -> None:
        """Read the losses of the steps since the last check; report progress where the last report is old."""
        if check:
            self._read_losses()
        if self.step == self.length or perf_counter() - self._reported >= PROGRESS_SECONDS:
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
                    f"{self._setup.stage}: phase '{self._phase.name}': the loss of step {number} of {self.length} is"
                    f" {total}; a lower learning rate may help"
                )
            terms = [(name, next(values)) for network in step.networks for name in network.names]
            self.curve.add_step(total, terms, step.learning_rate)
        self._unread.clear()

    def _training_values(self) -> Mapping[str, float]:
        point = self.curve.last
        return _NO_VALUES if point is None else point.values

    def _report(self, values: Mapping[str, float]) -> None:
        self._reported = perf_counter()
        epoch = -(-self.step // self._epoch_steps)
        self._setup.progress(
            self.step / self.length,
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
