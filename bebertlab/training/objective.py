"""What a phase minimises: the sum of its losses."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.model.slice import kept_layers, kept_outputs, scaled_width


@frozen(kw_only=True, eq=False)
class LossValue:
    """The loss of a batch and its terms."""

    total: Tensor  #: scalar
    names: tuple[str, ...]  #: of the terms, all different
    terms: tuple[Tensor, ...]  #: one-dimensional, without gradients; together they have a value for each name

    def detached(self) -> LossValue:
        """The same without gradients."""
        return evolve(self, total=self.total.detach())


class PhaseLoss:
    """The sum of all terms of all losses; each term is the mean over examples of its values times their weights."""

    def __init__(self, losses: Iterable[LossOptions], classes: int) -> None:
        options = tuple(losses)
        self._losses = [loss.build(classes) for loss in options]
        self._scalar_kinds = [o.kind for o, loss in zip(options, self._losses, strict=True) if not loss.per_example]
        self.needs_teacher = any(loss.needs_teacher for loss in self._losses)
        self.student_taps = _union(loss.student_taps for loss in self._losses)
        self.teacher_taps = _union(loss.teacher_taps for loss in self._losses if loss.needs_teacher)

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        return self.value(student, teacher, batch).total

    def value(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> LossValue:
        """The loss of a batch and its terms."""
        values = [_reduced(loss, student, teacher, batch) for loss in self._losses]
        totals = [value.total for value in values]
        return LossValue(
            total=torch.stack(totals).sum() if len(totals) > 1 else totals[0],
            names=_distinct(name for value in values for name in value.names),
            terms=tuple(term for value in values for term in value.terms),
        )

    def check_sample_weights(self, assignment: SampleWeights | None) -> None:
        """Refuse example weights where a loss has only one value for the whole batch.

        Raises:
            UserError: names the loss.
        """
        if assignment is not None and assignment.sampling is Sampling.REWEIGHT and self._scalar_kinds:
            raise UserError(
                f"loss '{self._scalar_kinds[0]}' has one value for the whole batch, so the ensemble cannot weight its"
                " examples; draw them by their weights (resample) or use losses that are reduced per example"
            )


def _reduced(loss: Loss, student: Outputs, teacher: Outputs | None, batch: Batch) -> LossValue:
    """The terms of one loss, reduced to scalars."""
    values = loss(student, teacher, batch)
    names, terms = tuple(values), list(values.values())
    stacked = None if len(terms) == 1 else torch.stack(terms)
    total = terms[0] if stacked is None else stacked.sum(dim=0)
    if loss.per_example:
        total = (total if batch.weights is None else total * batch.weights).mean()
    if stacked is None:
        return LossValue(total=total, names=names, terms=(total.detach().reshape(1),))
    means = stacked.detach()
    if loss.per_example:
        means = (means if batch.weights is None else means * batch.weights).mean(dim=1)
    return LossValue(total=total, names=names, terms=(means,))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names with a number where two losses have terms of the same name.

    >>> _distinct(["labels", "hidden", "labels"])
    ('labels', 'hidden', 'labels_2')
    """
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        distinct.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return tuple(distinct)


def _union(taps: Iterable[frozenset[Tap]]) -> frozenset[Tap]:
    return frozenset[Tap]().union(*taps)


_log = logging.getLogger(__name__)

_TOKENS = 2


def rehearse(phases: Sequence[Phase], student: Architecture, teacher: Architecture, outputs: int) -> None:
    """Compute the losses that compare inner layers, for models of these sizes and a task with `outputs` outputs.

    Raises:
        UserError: a loss cannot compare them, e.g. because of another width or depth; or a sub-network of the student
            is too small.
    """
    for phase in phases:
        objective = PhaseLoss(phase.losses, outputs)
        if objective.teacher_taps:
            for sizes, target in _comparisons(phase, objective, student, teacher):
                _compare(objective, _outputs(sizes, objective.student_taps, outputs), target, outputs)


def _comparisons(
    phase: Phase, objective: PhaseLoss, student: Architecture, teacher: Architecture
) -> Iterator[tuple[Architecture, Outputs]]:
    """The sizes of each network that a phase trains, with its targets."""
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
    except Exception as error:  # a loss of a plugin may not accept zeros; the training reports real errors
        _log.info("a loss could not be computed on zeros: %s", error)


def _outputs(sizes: Architecture, taps: frozenset[Tap], outputs: int) -> Outputs:
    hidden = torch.zeros(1, _TOKENS, sizes.hidden)
    scores = torch.zeros(1, sizes.heads, _TOKENS, _TOKENS)
    zeros = {tap: (hidden,) * (sizes.layers + 1) if tap is Tap.HIDDEN else (scores,) * sizes.layers for tap in taps}
    return Outputs(logits=torch.zeros(1, outputs), taps=zeros)


def _batch(outputs: int) -> Batch:
    tokens = torch.zeros(1, _TOKENS, dtype=torch.int64)
    return Batch(
        positions=torch.zeros(1, dtype=torch.int64),
        tokens=tokens,
        segments=tokens,
        mask=torch.ones(1, _TOKENS, dtype=torch.bool),
        labels=torch.zeros(1, dtype=torch.float32 if outputs == 1 else torch.int64),
    )
