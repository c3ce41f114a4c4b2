"""Distillations: the phases in which a student learns."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from attrs import field, frozen, validators

from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.options import Options

_positive = validators.optional(validators.gt(0))


@frozen(kw_only=True)
class Phase:
    """One stretch of training with a fresh optimizer and schedule, starting from the best state of the phase before."""

    name: str
    losses: tuple[LossOptions, ...]
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
