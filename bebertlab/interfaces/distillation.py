"""Distillations: the phases in which a student learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import evolve, field, frozen, validators

from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import Codec

_positive = validators.optional(validators.gt(0))


@frozen(kw_only=True)
class Phase:
    """One stretch of training with a fresh optimizer and schedule, starting from the best state of the phase before."""

    name: str
    losses: tuple[LossOptions, ...] = ()
    #: further losses, those of another plugin or the core's `labels`: a kind with its defaults, or plain data as in
    #: YAML, {"kind": "labels", "weight": 0.5}
    named_losses: tuple[str | Mapping[str, Any], ...] = ()
    learning_rate_factor: float = field(default=1.0, validator=validators.gt(0))  #: times the stage's rate
    learning_rate: float | None = field(default=None, validator=_positive)  #: instead of the stage's rate
    epochs: int | None = field(default=None, validator=_positive)  #: instead of the stage's
    batch_size: int | None = field(default=None, validator=_positive)  #: instead of the stage's


@frozen(kw_only=True)
class DistillationOptions(Options):
    """What YAML says of a distillation."""

    role: ClassVar[str] = "distillation"

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases in order."""


def resolve_phases(distillation: DistillationOptions, codec: Codec) -> tuple[Phase, ...]:
    """The phases of a distillation with every loss as its options; this is what a stage trains with.

    Raises:
        UserError: no plugin has a loss of that kind, or it has no such option.
    """
    return tuple(_resolve(phase, codec) for phase in distillation.phases())


def _resolve(phase: Phase, codec: Codec) -> Phase:
    named = tuple(codec.load(data, LossOptions) for data in phase.named_losses)  # type: ignore[type-abstract]
    return evolve(phase, losses=(*phase.losses, *named), named_losses=())
