"""The loss on predictions and labels."""

from __future__ import annotations

import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import Batch, Loss, LossOptions, Outputs, Tap, teacher_logits


@frozen(kw_only=True)
class BibertPrediction(LossOptions):
    """How far the student's predictions are from the teacher's, and from the labels."""

    kind = "bibert-prediction"
    labels_weight: float = field(
        default=0.5, validator=validators.ge(0)
    )  #: of the cross entropy of the labels, 0 leaves it out; regression has no such term

    def build(self, classes: int) -> Loss:
        """Soft cross entropy and labels; for regression the squared distance from the teacher."""
        return SquaredTeacher() if classes == 1 else TeacherAndLabels(self.labels_weight)


class TeacherAndLabels(Loss):
    """Cross entropy of the student's classes under the teacher's, and that of the labels.

    - mean over classes of softmax(t) * log softmax(s), and - labels_weight * log softmax(s)_y.
    Shape: logits (B, C), labels (B,) -> (B,) each.
    Gradient: to the student only.
    Source: BiBERT's published code (there the weight is 0.5, whether labels are wanted or not).
    """

    needs_teacher = True
    student_taps: frozenset[Tap] = frozenset()
    teacher_taps: frozenset[Tap] = frozenset()
    per_example = True

    def __init__(self, labels_weight: float) -> None:
        self.labels_weight = labels_weight

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """Two terms, "prediction" and "labels"; the second only where it counts."""
        target = teacher_logits("bibert-prediction", teacher).softmax(-1)
        soft = F.cross_entropy(student.logits, target, reduction="none") / target.shape[1]
        if self.labels_weight == 0.0:
            return {"prediction": soft}
        hard = F.cross_entropy(student.logits, batch.labels, reduction="none")
        return {"prediction": soft, "labels": self.labels_weight * hard}


class SquaredTeacher(Loss):
    """Squared distance of the student's value from the teacher's, for regression.

    (s - t)^2.
    Shape: logits (B, 1) -> (B,).
    Gradient: to the student only.
    Source: BiBERT's published code, which does not read the labels here.
    """

    needs_teacher = True
    student_taps: frozenset[Tap] = frozenset()
    teacher_taps: frozenset[Tap] = frozenset()
    per_example = True

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """One term, "prediction"."""
        return {"prediction": (student.logits - teacher_logits("bibert-prediction", teacher)).square().flatten()}
