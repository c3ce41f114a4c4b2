"""Splitters: transforms of a checkpoint into one with more branches that computes the same function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from bebertlab.interfaces.architecture import Checkpoint, QuantSpec
from bebertlab.interfaces.options import Options

#: the mean loss of a checkpoint on the labels of the select split; it evaluates the whole split
Measure = Callable[[Checkpoint], float]


@frozen(kw_only=True, eq=False)
class Splitting:
    """The result of splitting a checkpoint."""

    checkpoint: Checkpoint  #: the split model; tensors have the dtype of the source
    #: paths of quantizable modules whose function changes on purpose; all others must compute the same
    changed: frozenset[str] = frozenset()
    metrics: Mapping[str, float] = field(factory=dict)  #: tracked as "split/" + name
    details: Mapping[str, Any] = field(factory=dict)  #: plain data, written as split.json unless empty


class Splitter(ABC):
    """Splits quantized weights into summed branches; the stage `split` compares the models before and after."""

    @abstractmethod
    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        """The split checkpoint.

        Raises:
            UserError: this splitter cannot preserve the function of a model with the source's specification.
        """


@frozen(kw_only=True)
class SplitterOptions(Options):
    """The options of a splitter."""

    role: ClassVar[str] = "splitter"

    def spec(self, source: QuantSpec) -> QuantSpec | None:
        """The specification of the split model, given that of the source; branch counts may be missing.

        The revisions of its quantizers enter the key of the split model. None, the default: not known, so the key
        has the revision of every registered part.
        """
        return None

    @abstractmethod
    def build(self) -> Splitter:
        """The splitter."""
