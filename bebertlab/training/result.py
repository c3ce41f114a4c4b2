"""What a training leaves besides the trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from torch import Tensor

from bebertlab.training.curve import LearningCurve


@frozen(kw_only=True)
class Training:
    """The duration and the recorded curve of a training."""

    steps: int
    seconds: float  #: with those before it was interrupted
    teacher_seconds: float | None = None  #: in the teacher; None if no loss reads one
    last: Mapping[str, Tensor] | None = None  #: the last state, if the setup asks for it and another one was kept
    curve: LearningCurve = field(factory=LearningCurve)

    def data(self) -> dict[str, Any]:
        """Plain data without the last state; `of_data` reads it."""
        own = {"steps": self.steps, "seconds": self.seconds, "teacher_seconds": self.teacher_seconds}
        return {**own, "curve": self.curve.data()}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Training:
        """The training of plain data."""
        return cls(**{**data, "curve": LearningCurve.of_data(data["curve"])})
