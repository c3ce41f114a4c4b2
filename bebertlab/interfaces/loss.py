"""Losses: with or without a teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen
from torch import Tensor

from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.options import Options


class Loss(ABC):
    """One or more terms, which the training loop sums."""

    needs_teacher: bool
    student_taps: frozenset[Tap]
    teacher_taps: frozenset[Tap]
    #: True: terms have shape (B,), so that examples can be weighted; False: terms are scalars
    per_example: bool

    @abstractmethod
    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Mapping[str, Tensor]:
        """The terms by name, each (B,) or scalar according to `per_example`."""


@frozen(kw_only=True)
class LossOptions(Options):
    """The options of a loss."""

    role: ClassVar[str] = "loss"

    @abstractmethod
    def build(self, classes: int) -> Loss:
        """The loss for a task of `classes` classes, 1 for regression.

        Raises:
            UserError: the loss does not support that number of classes.
        """
