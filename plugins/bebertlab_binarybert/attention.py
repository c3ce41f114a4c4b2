"""The loss between the attention scores of student and teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import LAYERS, Batch, Layers, Loss, LossOptions, Outputs, Tap, paired

_MASKED = -100.0  #: scores up to here are those of masked keys


@frozen(kw_only=True)
class AttentionDistanceOptions(LossOptions):
    """How far the student's attention scores are from the teacher's."""

    kind = "attention"
    include_padding: bool = True  #: padding counts like a word, as in the published code; false: real tokens only
    weight: float = field(default=1.0, validator=validators.gt(0))  #: times the loss
    layers: Layers = field(
        default="uniform", validator=validators.in_(LAYERS)
    )  #: of a deeper teacher: every k-th, the last ones, or those that a slice by depth keeps

    def build(self, classes: int) -> AttentionDistance:
        """The loss, whatever the task."""
        return AttentionDistance(self)


class AttentionDistance(Loss):
    """Mean squared distance of attention scores before softmax, summed over the layers.

    weight * sum over l = 1..L of the mean over A, T and T of (r(s_l) - r(t_l))^2, r(x) = x where x > -100, else 0,
    so that masked keys add nothing but still count in the mean; the mean over pairs of real tokens only if so told;
    of a deeper teacher those t that `matched` names.
    Shape: L tensors (B, A, T, T) -> (B,).
    Gradient: to the student only, and not to masked scores.
    Source: TinyBERT, arXiv:1909.10351, section 3.2; BinaryBERT, arXiv:2012.15701, section 2.2.
    """

    needs_teacher = True
    student_taps = frozenset({Tap.SCORES})
    teacher_taps = frozenset({Tap.SCORES})
    per_example = True

    def __init__(self, options: AttentionDistanceOptions) -> None:
        self.options = options

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """One term, "attention"."""
        options = self.options
        pairs = paired("attention", Tap.SCORES, student, teacher, options.layers)
        distances = [(F.threshold(s, _MASKED, 0.0) - F.threshold(t, _MASKED, 0.0)).square() for s, t in pairs]
        if options.include_padding:
            layers = [distance.mean((1, 2, 3)) for distance in distances]
        else:
            weights = batch.mask / batch.mask.sum(1, keepdim=True)
            layers = [torch.einsum("bqk,bq,bk->b", distance.mean(1), weights, weights) for distance in distances]
        total = torch.stack(layers).sum(0)
        return {"attention": total if options.weight == 1.0 else options.weight * total}
