"""Gold labels: the loss that needs no teacher, and the distillation that consists of it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen, validators
from torch import Tensor
from torch.nn import functional as F

from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.interfaces.loss import Loss, LossOptions


@frozen(kw_only=True)
class LabelsOptions(LossOptions):
    """Gold labels: cross entropy for classes, squared error for regression."""

    kind = "labels"
    weight: float = field(default=1.0, validator=validators.gt(0))  #: factor of the loss

    def build(self, classes: int) -> LabelsLoss:
        """The loss; it suits classification and regression."""
        return LabelsLoss(self.weight)


class LabelsLoss(Loss):
    """The distance between the student's prediction and the gold label of each example.

    - weight * log softmax(z)_y,  or  weight * (z - y)^2 where there is a single logit.
    Shape: logits (B, C), labels (B,) -> (B,).  Gradient: autograd's.  Source: BERT, arXiv:1810.04805, section 3.2.
    """

    needs_teacher = False
    student_taps = frozenset()
    teacher_taps = frozenset()
    per_example = True

    def __init__(self, weight: float) -> None:
        self._weight = weight

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Mapping[str, Tensor]:
        """The term `labels`."""
        values = label_losses(student.logits, batch.labels)
        return {"labels": values if self._weight == 1.0 else self._weight * values}


def label_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of each example: logits (B, C) and labels (B,) to (B,).

    Squared error where C is 1, which means regression, otherwise cross entropy.
    """
    if logits.shape[1] == 1:
        return F.mse_loss(logits.squeeze(1), labels, reduction="none")
    return F.cross_entropy(logits, labels, reduction="none")


@frozen(kw_only=True)
class NoneOptions(DistillationOptions):
    """No teacher: a single phase on gold labels."""

    kind = "none"

    def phases(self) -> tuple[Phase, ...]:
        """The single phase."""
        return (Phase(name="labels", losses=(LabelsOptions(),)),)
