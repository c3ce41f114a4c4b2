"""The distillation procedures of BinaryBERT and TernaryBERT."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from bebertlab.api import LAYERS, DistillationOptions, Layers, LossOptions, Phase
from bebertlab_binarybert.losses import AttentionDistanceOptions, HiddenDistanceOptions, Prediction

Reduction = Literal["elements", "classes"]


@frozen(kw_only=True)
class PredictionDistillation(DistillationOptions):
    """One phase: the teacher's predictions only.

    Source: BinaryBERT, arXiv:2012.15701, section 3.2 (after the split); `logit_kd` of its code.
    """

    kind = "prediction"
    temperature: float = field(default=1.0, validator=validators.gt(0))  #: both logits are divided by it
    reduction: Reduction = field(
        default="elements", validator=validators.in_(("elements", "classes"))
    )  #: over the classes of an example: mean (BinaryBERT), or sum (the usual cross entropy)

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        return (Phase(name="prediction", losses=(_prediction(self.temperature, self.reduction),)),)


@frozen(kw_only=True)
class TwoStageDistillation(DistillationOptions):
    """First the inner layers (hidden states and attention scores) at a higher rate, then the predictions.

    The second phase starts from the best state of the first, with a fresh optimizer and schedule.
    Source: TinyBERT, arXiv:1909.10351; BinaryBERT's code (`two_stage`: 2.5 times the rate in the first stage).
    """

    kind = "two-stage"
    inner_rate_factor: float = field(
        default=2.5, validator=validators.gt(0)
    )  #: the learning rate of the first phase, as times that of the stage
    include_padding: bool = True  #: padding counts like a word in the first phase, as in the published code
    layers: Layers = field(
        default="uniform", validator=validators.in_(LAYERS)
    )  #: of a deeper teacher: every k-th, the last ones, or those that a slice by depth keeps
    temperature: float = field(default=1.0, validator=validators.gt(0))  #: both logits are divided by it
    reduction: Reduction = field(
        default="elements", validator=validators.in_(("elements", "classes"))
    )  #: over the classes of an example: mean (BinaryBERT), or sum (the usual cross entropy)

    def phases(self) -> tuple[Phase, ...]:
        """Inner layers, then predictions."""
        inner = _inner(self.include_padding, self.layers)
        return (
            Phase(name="inner", losses=inner, learning_rate_factor=self.inner_rate_factor),
            Phase(name="prediction", losses=(_prediction(self.temperature, self.reduction),)),
        )


@frozen(kw_only=True)
class JointDistillation(DistillationOptions):
    """One phase: hidden states, attention scores and predictions at once, each with weight 1.

    Source: TernaryBERT, arXiv:2009.12812, section 3.2; `joint_kd` of BinaryBERT's code.
    """

    kind = "joint"
    include_padding: bool = True  #: padding counts like a word, as in the published code
    layers: Layers = field(
        default="uniform", validator=validators.in_(LAYERS)
    )  #: of a deeper teacher: every k-th, the last ones, or those that a slice by depth keeps
    temperature: float = field(default=1.0, validator=validators.gt(0))  #: both logits are divided by it
    reduction: Reduction = field(
        default="elements", validator=validators.in_(("elements", "classes"))
    )  #: over the classes of an example: mean (BinaryBERT), or sum (the usual cross entropy)

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        prediction = _prediction(self.temperature, self.reduction)
        return (Phase(name="joint", losses=(*_inner(self.include_padding, self.layers), prediction)),)


def _inner(include_padding: bool, layers: Layers) -> tuple[LossOptions, ...]:
    return (
        HiddenDistanceOptions(include_padding=include_padding, layers=layers),
        AttentionDistanceOptions(include_padding=include_padding, layers=layers),
    )


def _prediction(temperature: float, reduction: Reduction) -> LossOptions:
    return Prediction(temperature=temperature, reduction=reduction)
