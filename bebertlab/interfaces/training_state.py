"""The state of a training that is not finished, and where it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from torch import Tensor


@frozen(kw_only=True, eq=False)
class TrainingState:
    """Everything that a training needs to continue: tensors, and plain data that JSON can hold."""

    tensors: Mapping[str, Tensor] = field(factory=dict)  #: by name
    data: Mapping[str, Any] = field(factory=dict)  #: numbers, text, lists, mappings with keys of text
    age_seconds: float = 0.0  #: since it was saved

    @classmethod
    def joined(cls, parts: Mapping[str, TrainingState], **data: object) -> TrainingState:
        """One state of several, which `part` separates again, with more data."""
        tensors = {f"{name}/{key}": value for name, part in parts.items() for key, value in part.tensors.items()}
        return cls(tensors=tensors, data={**data, **{name: part.data for name, part in parts.items()}})

    def part(self, name: str) -> TrainingState:
        """A part of a joined state."""
        start = f"{name}/"
        tensors = {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}
        return TrainingState(tensors=tensors, data=self.data[name], age_seconds=self.age_seconds)


class TrainingStates(ABC):
    """Keeps the latest state of the training of one stage, so that a stage that was killed continues from it."""

    @abstractmethod
    def begin(self) -> TrainingState | None:
        """Begin the next training of the stage; returns its state if an earlier process saved one."""

    @abstractmethod
    def is_due(self) -> bool:
        """Whether the state should be saved now; cheap, called after every step."""

    @abstractmethod
    def save(self, state: TrainingState) -> None:
        """Replace the saved state; all of the new one is on the disk before the old one disappears."""

    @abstractmethod
    def reject(self, reason: str) -> None:
        """Remove the saved state with a message: the training starts from the beginning."""
