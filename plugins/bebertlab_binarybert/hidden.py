"""The loss between the hidden states of student and teacher."""

from __future__ import annotations

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import LAYERS, Batch, Layers, Loss, LossOptions, Outputs, Tap, paired


@frozen(kw_only=True)
class HiddenDistanceOptions(LossOptions):
    """How far the student's hidden states are from the teacher's, the embedding output included."""

    kind = "hidden"
    include_padding: bool = True  #: padding counts like a word, as in the published code; false: real tokens only
    weight: float = field(default=1.0, validator=validators.gt(0))  #: times the loss
    layers: Layers = field(
        default="uniform", validator=validators.in_(LAYERS)
    )  #: of a deeper teacher: every k-th, the last ones, or those that a slice by depth keeps

    def build(self, classes: int) -> HiddenDistance:
        """The loss, whatever the task."""
        return HiddenDistance(self)


class HiddenDistance(Loss):
    """Mean squared distance of hidden states, summed over the layers and the embedding output.

    weight * sum over l = 0..L of the mean over T and H of (s_l - t_l)^2, the mean over the real tokens only if so
    told; of a deeper teacher those t that `matched` names.
    Shape: L + 1 tensors (B, T, H) -> (B,).
    Gradient: to the student only.
    Source: TinyBERT, arXiv:1909.10351, section 3.2; BinaryBERT, arXiv:2012.15701, section 2.2.
    """

    needs_teacher = True
    student_taps = frozenset({Tap.HIDDEN})
    teacher_taps = frozenset({Tap.HIDDEN})
    per_example = True

    def __init__(self, options: HiddenDistanceOptions) -> None:
        self.options = options

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        """One term, "hidden"."""
        options = self.options
        pairs = paired("hidden", Tap.HIDDEN, student, teacher, options.layers)
        distances = [(s - t).square() for s, t in pairs]
        if options.include_padding:
            layers = [distance.mean((1, 2)) for distance in distances]
        else:
            weights = batch.mask / batch.mask.sum(1, keepdim=True)
            layers = [(distance.mean(2) * weights).sum(1) for distance in distances]
        total = torch.stack(layers).sum(0)
        return {"hidden": total if options.weight == 1.0 else options.weight * total}
