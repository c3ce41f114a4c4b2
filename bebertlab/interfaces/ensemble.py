"""Ensembles: what each member trains on, what it weighs, and how members are merged."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.interfaces.options import Options
from bebertlab.interfaces.training_data import TrainingData

Floats = NDArray[np.float64]


class Sampling(StrEnum):
    """How the weights of a round reach the training of a member."""

    ALL = "all"  #: every example once an epoch; the weights are not used
    BOOTSTRAP = "bootstrap"  #: one draw of N with replacement, the same in every epoch; of `draws` where it is given
    RESAMPLE = "resample"  #: a new draw of N with replacement in every epoch; of `draws` where it is given
    REWEIGHT = "reweight"  #: every example once an epoch, its loss times N * weight
    SUBSET = "subset"  #: examples with a weight above 0 once an epoch, the others not at all; these weights are equal


@frozen(kw_only=True, eq=False)
class SampleWeights:
    """What one member trains on."""

    sampling: Sampling
    weights: Floats  #: (N,) over the train split in dataset order, sum 1
    retries: int = 0  #: members discarded in a row before this round
    draws: int | None = None  #: examples an epoch of BOOTSTRAP and RESAMPLE; None: N

    def problem(self, examples: int) -> str:
        """Why it is not a round of that many examples; empty where it is one."""
        if not isinstance(self.sampling, Sampling):  # text would be equal to a member, and yet not be it
            wanted = ", ".join(f"Sampling.{one.name}" for one in Sampling)
            return f"{self.sampling!r} for its sampling, expected one of {wanted}"
        weights = self.weights
        if not isinstance(weights, np.ndarray) or weights.shape != (examples,) or weights.dtype != np.float64:
            return f"no float64 weight per example ({examples} examples)"
        if not np.isfinite(weights).all() or (weights < 0).any():
            return "weights that are no shares: each must be finite and at least 0"
        if abs(weights.sum() - 1) > 1e-6:
            return f"weights that add up to {weights.sum()}, not 1"
        if self.retries < 0:
            return "a negative number of retries"
        if self.draws is not None and self.sampling not in (Sampling.BOOTSTRAP, Sampling.RESAMPLE):
            return f"`draws`, which {self.sampling.name} does not use; it belongs to BOOTSTRAP and RESAMPLE"
        if self.draws is not None and (not isinstance(self.draws, (int, np.integer)) or self.draws < 1):
            return f"{self.draws} draws, expected an integer of at least 1"
        chosen = weights[weights > 0]
        if self.sampling is Sampling.SUBSET and not np.allclose(chosen, chosen[0], rtol=1e-6, atol=0):
            return "weights of a SUBSET that differ, which would not be used: those above 0 must be equal"
        return ""


@frozen(kw_only=True, eq=False)
class MemberResult:
    """What a trained member is worth, and what the next one trains on."""

    weight: float  #: the member's say in the ensemble; 0 where it was discarded
    kept: bool
    error: float | None  #: weighted error on the train split; None where none was computed
    #: None: no further member can help; of an ensemble that is not sequential always None, as its members do not wait
    next: SampleWeights | None

    def problem(self, examples: int) -> str:
        """Why it is not a verdict on a member trained on that many examples; empty where it is one."""
        if not np.isfinite(self.weight) or self.weight < 0:
            return f"the weight {self.weight}, which must be finite and at least 0"
        if not self.kept and self.weight:
            return f"the weight {self.weight} of a member that is not kept, which must be 0"
        if self.error is not None and not np.isfinite(self.error):
            return f"the error {self.error}, which must be finite"
        following = "" if self.next is None else self.next.problem(examples)
        return f"a next round with {following}" if following else ""


class Ensemble(ABC):
    """A strategy. A member knows its index and its predecessor, never the ensemble's size.

    Each member asks a strategy of its own, in a process of its own: what both methods return must be a function of
    their arguments. What is drawn is drawn by `data.uniform`, with the member's index among the words: it depends on
    the seed of the ensemble and on the example, not on its place in the file.
    """

    @abstractmethod
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """What member `index` trains on where no other member was judged before it.

        That is member 0, and every member of an ensemble that is not sequential.
        """

    @abstractmethod
    def update(self, index: int, round: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Judge member `index` by its logits (N, C) on the whole train split in dataset order.

        logits is None where the options say `needs_predictions = False`.
        """


def signature_problem(strategy: Ensemble) -> str:
    """Why the methods of a strategy cannot be called as the class `Ensemble` says; empty where they can."""
    for name, names in (("first", ("index", "data")), ("update", ("index", "round", "logits", "data"))):
        signature = inspect.signature(getattr(strategy, name))
        try:
            signature.bind(*names)
        except TypeError:
            return (
                f"{name}({', '.join(signature.parameters)}) is called as {name}({', '.join(names)});"
                " data has the ids, labels and seed of the training examples, len(data) is their number (TrainingData)"
            )
    return ""


@frozen(kw_only=True)
class MergerOptions(Options):
    """What YAML says of a rule that merges members."""

    role: ClassVar[str] = "merger"

    @abstractmethod
    def build(self, classes: int) -> Merger:
        """The rule for a task of `classes` classes, 1 for regression.

        Raises:
            UserError: the rule makes no sense for that number of classes.
        """


class Merger(ABC):
    """A rule that merges members after the fact, from their stored logits."""

    @abstractmethod
    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """(M, N, C) logits and (M,) weights to (N, C) scores; predicted is the arg max, or column 0 for regression."""


@frozen(kw_only=True)
class EnsembleOptions(Options):
    """What YAML says of an ensemble."""

    role: ClassVar[str] = "ensemble"
    sequential: ClassVar[bool]  #: member t trains after member t-1, on what it left
    needs_predictions: ClassVar[bool]  #: a member is judged by its logits on the train split
    single: ClassVar[bool] = False  #: has exactly one member

    @abstractmethod
    def build(self, classes: int) -> Ensemble:
        """The strategy for a task of `classes` classes, 1 for regression."""

    @abstractmethod
    def merger(self, classes: int) -> MergerOptions:
        """The rule that goes with this strategy where the recipe names none."""
