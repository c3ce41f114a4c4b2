"""Splitters: a checkpoint becomes one of another architecture that computes the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from attrs import frozen

from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.options import Options


class Splitter(ABC):
    """Splits quantized weights into summed branches. The split stage compares the logits before and after."""

    @abstractmethod
    def split(self, source: Checkpoint) -> Checkpoint:
        """The split checkpoint, tensors in the dtype of the source.

        Raises:
            UserError: the source's design is not one that this splitter keeps the function of.
        """


@frozen(kw_only=True)
class SplitterOptions(Options):
    """What YAML says of a splitter."""

    role: ClassVar[str] = "splitter"

    @abstractmethod
    def build(self) -> Splitter:
        """The splitter."""
