"""BiBERT's losses: directions of inner tensors, and predictions with labels."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import LAYERS, Batch, Layers, Loss, LossOptions, Outputs, Tap, paired, teacher_logits

_MASKED = -100.0  #: similarities up to here count as those of masked keys


@frozen(kw_only=True)
class Direction(LossOptions):
    """Distance of the directions of the student's Q, K, V similarities and hidden states from the teacher's."""

    kind = "direction"
    query: bool = True  #: the similarities Q Q^T are learned
    key: bool = True  #: the similarities K K^T are learned
    value: bool = True  #: the similarities V V^T are learned
    hidden: bool = field(default=True)  #: the hidden states are learned, the embedding output included
    per_example: bool = (
        False  #: one direction for each example, which an ensemble can weight; false: for the whole batch
    )
    include_padding: bool = True  #: padding counts like a word, as in the published code; false: real tokens only
    layers: Layers = field(
        default="uniform", validator=validators.in_(LAYERS)
    )  #: of a deeper teacher: every k-th, the last ones, or those that a slice by depth keeps

    @hidden.validator
    def _check_something(self, _: object, hidden: bool) -> None:
        if not (self.query or self.key or self.value or hidden):
            raise ValueError("'query', 'key', 'value' and 'hidden' are all false, so nothing would be learned")

    def build(self, classes: int) -> DirectionMatching:
        """The loss, whatever the task."""
        return DirectionMatching(self)


class DirectionMatching(Loss):
    """Distance of normalized similarities of Q, K and V and of normalized hidden states, summed over the layers.

    sum over l = 1..L of D(Q_l) + D(K_l) + D(V_l), plus sum over l = 0..L of D(h_l), D(x) = || s / ||s|| - t / ||t|| ||
    with Frobenius norms over the whole tensor of the batch, s of the student and t of the teacher. Similarities up to
    -100 count as 0 before. The loss is therefore independent of the different magnitude of a binary student's tensors.
    Shape: L tensors (B, A, T, T) each, L + 1 tensors (B, T, H) -> (), per_example (B,).
    Gradient: to the student only; 0 where a tensor is 0.
    Source: BiBERT, arXiv:2203.06390, section 3.3, and its published code.
    Differs: zeros have no direction and a distance of 1; the published code gives NaN. per_example has norms over each
    example's own tensor, so the loss does not depend on other examples of the batch.
    """

    needs_teacher = True

    def __init__(self, options: Direction) -> None:
        self.options = options
        self.per_example = options.per_example
        compared = {
            Tap.QUERY_SIMILARITY: options.query,
            Tap.KEY_SIMILARITY: options.key,
            Tap.VALUE_SIMILARITY: options.value,
            Tap.HIDDEN: options.hidden,
        }
        self.taps = tuple(tap for tap, is_compared in compared.items() if is_compared)
        self.student_taps = self.teacher_taps = frozenset(self.taps)

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """One term for each kind of tensor, "query_direction" to "hidden_direction"."""
        terms = {}
        for tap in self.taps:
            pairs = paired("direction", tap, student, teacher, self.options.layers)
            distances = [self._distance(tap, s, t, batch.mask) for s, t in pairs]
            terms[f"{tap.value.removesuffix('_similarity')}_direction"] = torch.stack(distances).sum(0)
        return terms

    def _distance(self, tap: Tap, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        if tap is not Tap.HIDDEN:
            student, teacher = (F.threshold(x, _MASKED, 0.0) for x in (student, teacher))
        if not self.options.include_padding:
            real = mask[:, :, None] if tap is Tap.HIDDEN else (mask[:, :, None] & mask[:, None, :])[:, None]
            student, teacher = student * real, teacher * real
        return direction_distance(student, teacher, per_example=self.per_example)


@frozen(kw_only=True)
class BibertPrediction(LossOptions):
    """Distance of the student's predictions from the teacher's, and from the labels."""

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
    Source: BiBERT's published code (there the weight is 0.5, regardless of the labels setting).
    """

    needs_teacher = True
    student_taps: frozenset[Tap] = frozenset()
    teacher_taps: frozenset[Tap] = frozenset()
    per_example = True

    def __init__(self, labels_weight: float) -> None:
        self.labels_weight = labels_weight

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """Two terms, "prediction" and "labels"; the second only if its weight is not 0."""
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


#: a tensor shorter than this has no direction: it counts as zeros and has no gradient
_SHORTEST = 1e-12


def direction_distance(student: Tensor, teacher: Tensor, *, per_example: bool = False) -> Tensor:
    """The distance of two tensors after both are brought to length 1: 0 for equal directions, 2 for opposite ones.

    D(u, v) = || u / ||u|| - v / ||v|| ||, Frobenius norms over the whole tensors, or over those of each example.
    Shape: u and v (B, ...) -> (), per_example (B,).
    Gradient: (c u / ||u|| - v / ||v||) / (||u|| D) to u with c = 1 - D^2 / 2, none to v; 0 where u or v is zero
    (then D = 1, or 0 if both are) or D is.

    >>> u = torch.tensor([[3.0, 4.0]])
    >>> [float(direction_distance(u, v)) for v in (2 * u, -u, 0 * u)]
    [0.0, 2.0, 1.0]
    """
    distance: Tensor = _Distance.apply(student, teacher.detach(), per_example)  # type: ignore[no-untyped-call]
    return distance


class _Distance(torch.autograd.Function):
    # autograd of the formula makes three times as many passes over the tensors
    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, per_example: bool) -> Tensor:  # noqa: ANN401
        u, v = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (student, teacher))
        over = tuple(range(1, u.ndim)) if per_example else tuple(range(u.ndim))
        u_size, v_size = (torch.linalg.vector_norm(x, dim=over, keepdim=True) for x in (u, v))
        u_scale, v_scale = (torch.where(size < _SHORTEST, 0.0, 1.0 / size) for size in (u_size, v_size))
        difference = (u * u_scale).sub_(v * v_scale)  # not addcmul: on a GPU equal tensors would differ by a rounding
        distance: Tensor = torch.linalg.vector_norm(difference, dim=over, keepdim=True)
        ctx.save_for_backward(student, teacher, u_scale, v_scale, distance)
        return distance.view(-1 if per_example else ())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's own type
        student, teacher, u_scale, v_scale, distance = ctx.saved_tensors
        differs = (distance > 0) & (v_scale > 0)  # zeros have a u_scale of 0 anyway
        rate = torch.where(differs, gradient.view(distance.shape) * u_scale / distance, 0.0)
        along = rate * u_scale * (1 - distance.square() / 2)
        pulled = (student * along).addcmul_(teacher.to(along.dtype), -rate * v_scale)
        return pulled.to(student.dtype), None, None
