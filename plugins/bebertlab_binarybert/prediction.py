"""The loss between the predictions of student and teacher."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Batch, Loss, LossOptions, Outputs, Tap, UserError, teacher_logits


@frozen(kw_only=True)
class Prediction(LossOptions):
    """How far the student's predictions are from the teacher's."""

    kind = "prediction"
    temperature: float = field(default=1.0, validator=validators.gt(0))  #: both logits are divided by it
    reduction: Literal["elements", "classes"] = field(
        default="elements", validator=validators.in_(("elements", "classes"))
    )  #: over the classes of an example: their mean (BinaryBERT), or their sum (the usual cross entropy, C times that)

    weight: float = field(default=1.0, validator=validators.gt(0))  #: times the loss
    as_published: bool = False  #: regression: 0 whatever the student says; false: the squared distance

    def build(self, classes: int) -> Loss:
        """Soft cross entropy; for regression the squared distance."""
        if classes == 1:
            return SquaredPrediction(0.0 if self.as_published else self.weight)
        return SoftCrossEntropy(self, classes)


class SoftCrossEntropy(Loss):
    """Cross entropy of the student's classes under the teacher's.

    - weight * sum or mean over classes of softmax(t / temperature) * log softmax(s / temperature).
    Shape: logits (B, C) -> (B,).
    Gradient: to the student only; no factor of the squared temperature.
    Source: Hinton et al., arXiv:1503.02531; the mean over classes: TinyBERT's, TernaryBERT's, BinaryBERT's code.

    Raises:
        UserError: there is one class only, as in regression.
    """

    needs_teacher = True
    student_taps: frozenset[Tap] = frozenset()
    teacher_taps: frozenset[Tap] = frozenset()
    per_example = True

    def __init__(self, options: Prediction, classes: int) -> None:
        if classes == 1:
            raise UserError(
                "the soft cross entropy of one logit is 0 whatever the student says, so nothing would be learnt;"
                " regression takes the squared distance, as loss 'prediction' does by itself"
            )
        self.options = options

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """One term, "prediction"."""
        options = self.options
        target = (teacher_logits("prediction", teacher) / options.temperature).softmax(-1)
        entropy = F.cross_entropy(student.logits / options.temperature, target, reduction="none")
        value = entropy / target.shape[1] if options.reduction == "elements" else entropy
        return {"prediction": value if options.weight == 1.0 else options.weight * value}


class SquaredPrediction(Loss):
    """Squared distance of the student's value from the teacher's, for regression.

    weight * (s - t)^2.
    Shape: logits (B, 1) -> (B,).
    Gradient: to the student only.
    Source: TernaryBERT's code.
    Differs: BinaryBERT's code takes the soft cross entropy of one logit, which is 0 whatever the student says;
    DynaBERT's leaves the logits out. `as_published` has weight 0.
    """

    needs_teacher = True
    student_taps: frozenset[Tap] = frozenset()
    teacher_taps: frozenset[Tap] = frozenset()
    per_example = True

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """One term, "prediction"."""
        value = (student.logits - teacher_logits("prediction", teacher)).square().flatten()
        return {"prediction": value if self.weight == 1.0 else self.weight * value}
