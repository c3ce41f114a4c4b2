"""The losses of BinaryBERT and TernaryBERT: predictions, hidden states and attention scores."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import LAYERS, Batch, Layers, Loss, LossOptions, Outputs, Tap, UserError, paired, teacher_logits


@frozen(kw_only=True)
class Prediction(LossOptions):
    """Distance of the student's predictions from the teacher's."""

    kind = "prediction"
    temperature: float = field(default=1.0, validator=validators.gt(0))  #: both logits are divided by it
    reduction: Literal["elements", "classes"] = field(
        default="elements", validator=validators.in_(("elements", "classes"))
    )  #: over the classes of an example: their mean (BinaryBERT), or their sum (the usual cross entropy, C times that)

    weight: float = field(default=1.0, validator=validators.gt(0))  #: times the loss
    as_published: bool = False  #: regression: always 0; false: the squared distance

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
                "the soft cross entropy of one logit is always 0, so nothing would be learned;"
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
    Differs: BinaryBERT's code takes the soft cross entropy of one logit, which is always 0;
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


@frozen(kw_only=True)
class HiddenDistanceOptions(LossOptions):
    """Distance of the student's hidden states from the teacher's, the embedding output included."""

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

    weight * sum over l = 0..L of the mean over T and H of (s_l - t_l)^2, over real tokens only with
    `include_padding=False`; of a deeper teacher those t that `paired` selects.
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


_MASKED = -100.0  #: scores up to here are those of masked keys


@frozen(kw_only=True)
class AttentionDistanceOptions(LossOptions):
    """Distance of the student's attention scores from the teacher's."""

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
    so that masked keys contribute 0 but are counted in the mean; over pairs of real tokens only with
    `include_padding=False`; of a deeper teacher those t that `paired` selects.
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
