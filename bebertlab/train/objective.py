"""What a phase minimises: the sum of its losses."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.ensemble import Round, Sampling
from bebertlab.interfaces.loss import Loss, LossOptions


class Objective:
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

    def check_round(self, assignment: Round | None) -> None:
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
