"""Splitters: a checkpoint becomes one of another architecture that computes the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from bebertlab.interfaces.architecture import Checkpoint, QuantSpec
from bebertlab.interfaces.options import Options

#: the mean loss on the labels of the select split; a pass over the split
Measure = Callable[[Checkpoint], float]


@frozen(kw_only=True, eq=False)
class Splitting:
    """What a splitter made of a checkpoint."""

    checkpoint: Checkpoint  #: the split one, tensors in the dtype of the source
    #: paths of quantizable modules that compute something else on purpose; all others are to compute the same
    changed: frozenset[str] = frozenset()
    metrics: Mapping[str, float] = field(factory=dict)  #: tracked as "split/" and their name
    details: Mapping[str, Any] = field(factory=dict)  #: plain data, left as split.json; empty: no such file


class Splitter(ABC):
    """Splits quantized weights into summed branches. The split stage compares the models before and after."""

    @abstractmethod
    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        """The split checkpoint.

        Raises:
            UserError: the source's design is not one that this splitter keeps the function of.
        """


@frozen(kw_only=True)
class SplitterOptions(Options):
    """What YAML says of a splitter."""

    role: ClassVar[str] = "splitter"

    def spec(self, source: QuantSpec) -> QuantSpec | None:
        """The quantizers of the model that it makes of one with the design `source`; branch counts may be missing.

        Their revisions enter the key of the split model. None, the default: not known, and the key holds the revision
        of every registered part.
        """
        return None

    @abstractmethod
    def build(self) -> Splitter:
        """The splitter."""
