"""The loss between the directions of student and teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import LAYERS, Batch, Layers, Loss, LossOptions, Outputs, Tap, paired
from bebertlab_bibert.distance import direction_distance

_MASKED = -100.0  #: similarities up to here count as those of masked keys


@frozen(kw_only=True)
class Direction(LossOptions):
    """How far the student's Q, K, V similarities and hidden states point elsewhere than the teacher's."""

    kind = "direction"
    query: bool = True  #: the similarities Q Q^T are learned
    key: bool = True  #: the similarities K K^T are learned
    value: bool = True  #: the similarities V V^T are learned
    hidden: bool = field(default=True)  #: the hidden states are learned, the embedding output included
    per_example: bool = (
        False  #: one direction for each example, which an ensemble can weigh; false: for the whole batch
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
    -100 count as 0 before. So it does not matter that a binary student's tensors are of another size.
    Shape: L tensors (B, A, T, T) each, L + 1 tensors (B, T, H) -> (), per_example (B,).
    Gradient: to the student only; 0 where a tensor is 0.
    Source: BiBERT, arXiv:2203.06390, section 3.3, and its published code.
    Differs: zeros have no direction and a distance of 1; the published code gives NaN. per_example has norms over each
    example's own tensor, so the loss does not depend on what else is in the batch.
    """

    needs_teacher = True

    def __init__(self, options: Direction) -> None:
        self.options = options
        self.per_example = options.per_example
        wanted = {
            Tap.QUERY_SIMILARITY: options.query,
            Tap.KEY_SIMILARITY: options.key,
            Tap.VALUE_SIMILARITY: options.value,
            Tap.HIDDEN: options.hidden,
        }
        self.taps = tuple(tap for tap, is_wanted in wanted.items() if is_wanted)
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
