"""What a phase minimises: the sum of its losses."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.model.slice import kept_layers, kept_outputs, scaled_width


class PhaseLoss:
    """The sum of all terms of all losses, each term the mean of its examples' values times their weights."""

    def __init__(self, losses: Iterable[LossOptions], classes: int) -> None:
        options = tuple(losses)
        self._losses = [loss.build(classes) for loss in options]
        self._whole = [o.kind for o, loss in zip(options, self._losses, strict=True) if not loss.per_example]
        self.needs_teacher = any(loss.needs_teacher for loss in self._losses)
        self.student_taps = _union(loss.student_taps for loss in self._losses)
        self.teacher_taps = _union(loss.teacher_taps for loss in self._losses if loss.needs_teacher)

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        terms = [self._reduced(loss, student, teacher, batch) for loss in self._losses]
        return torch.stack(terms).sum() if len(terms) > 1 else terms[0]

    def check_sample_weights(self, assignment: SampleWeights | None) -> None:
        """Refuse weights of examples where a loss has only one value for the whole batch.

        Raises:
            UserError: names the loss.
        """
        if assignment is not None and assignment.sampling is Sampling.REWEIGHT and self._whole:
            raise UserError(
                f"loss '{self._whole[0]}' has one value for the whole batch, so the ensemble cannot weigh its examples;"
                " draw them by their weights (resample) or use losses that are reduced per example"
            )

    @staticmethod
    def _reduced(loss: Loss, student: Outputs, teacher: Outputs | None, batch: Batch) -> Tensor:
        terms = list(loss(student, teacher, batch).values())
        total = terms[0] if len(terms) == 1 else torch.stack(terms).sum(dim=0)
        if not loss.per_example:
            return total
        return (total if batch.weights is None else total * batch.weights).mean()


def _union(taps: Iterable[frozenset[Tap]]) -> frozenset[Tap]:
    return frozenset[Tap]().union(*taps)


_log = logging.getLogger(__name__)

_TOKENS = 2


def rehearse(phases: Sequence[Phase], student: Architecture, teacher: Architecture, outputs: int) -> None:
    """Compute the losses that compare inner layers, for models of these sizes and a task of so many outputs.

    Raises:
        UserError: a loss cannot compare them, such as of another width or depth; or a part of the student is too small.
    """
    for phase in phases:
        objective = PhaseLoss(phase.losses, outputs)
        if objective.teacher_taps:
            for sizes, target in _comparisons(phase, objective, student, teacher):
                _compare(objective, _outputs(sizes, objective.student_taps, outputs), target, outputs)


def _comparisons(
    phase: Phase, objective: PhaseLoss, student: Architecture, teacher: Architecture
) -> Iterator[tuple[Architecture, Outputs]]:
    """The sizes of every network that a phase trains, with what it learns from."""
    target = _outputs(teacher, objective.teacher_taps, teacher.classes)
    for width, depth in phase.subnets:
        layers = kept_layers(student.layers, depth)
        sizes = evolve(scaled_width(student, width), layers=len(layers))
        yield sizes, kept_outputs(target, layers, student.layers)


def _compare(objective: PhaseLoss, student: Outputs, teacher: Outputs, outputs: int) -> None:
    try:
        objective(student, teacher, _batch(outputs))
    except UserError:
        raise
    except Exception as error:  # a loss of a plugin may want more than zeros; training says what is wrong then
        _log.info("a loss could not be computed on zeros: %s", error)


def _outputs(sizes: Architecture, taps: frozenset[Tap], outputs: int) -> Outputs:
    hidden = torch.zeros(1, _TOKENS, sizes.hidden)
    between = torch.zeros(1, sizes.heads, _TOKENS, _TOKENS)
    kept = {tap: (hidden,) * (sizes.layers + 1) if tap is Tap.HIDDEN else (between,) * sizes.layers for tap in taps}
    return Outputs(logits=torch.zeros(1, outputs), taps=kept)


def _batch(outputs: int) -> Batch:
    tokens = torch.zeros(1, _TOKENS, dtype=torch.int64)
    return Batch(
        positions=torch.zeros(1, dtype=torch.int64),
        tokens=tokens,
        segments=tokens,
        mask=torch.ones(1, _TOKENS, dtype=torch.bool),
        labels=torch.zeros(1, dtype=torch.float32 if outputs == 1 else torch.int64),
    )
