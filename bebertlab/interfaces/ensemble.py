"""Ensembles: the sample weights and the weight of each member, and how members are merged."""

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
    """How the training of a member uses the weights of the examples."""

    ALL = "all"  #: every example once an epoch; the weights are not used
    BOOTSTRAP = "bootstrap"  #: N draws with replacement (or `draws`), the same in every epoch
    RESAMPLE = "resample"  #: N new draws with replacement (or `draws`) in every epoch
    REWEIGHT = "reweight"  #: every example once an epoch, its loss times N * weight
    SUBSET = "subset"  #: examples with a weight above 0 once an epoch, the others never; these weights are equal


@frozen(kw_only=True, eq=False)
class SampleWeights:
    """The training examples of a member and their weights."""

    sampling: Sampling
    weights: Floats  #: (N,) over the train split in dataset order, sum 1
    retries: int = 0  #: members discarded in a row before this one
    draws: int | None = None  #: examples per epoch of BOOTSTRAP and RESAMPLE; None: N

    def problem(self, examples: int) -> str:
        """Why it is invalid for that many examples; empty if it is valid."""
        if not isinstance(self.sampling, Sampling):  # a plain string compares equal to a member of the enumeration
            expected = ", ".join(f"Sampling.{sampling.name}" for sampling in Sampling)
            return f"sampling {self.sampling!r}, expected one of {expected}"
        weights = self.weights
        if not isinstance(weights, np.ndarray) or weights.shape != (examples,) or weights.dtype != np.float64:
            return f"weights that are not a float64 array of shape ({examples},), one for each example"
        if not np.isfinite(weights).all() or (weights < 0).any():
            return "weights that are negative, NaN or infinite"
        if abs(weights.sum() - 1) > 1e-6:
            return f"weights that sum to {weights.sum()}, not 1"
        if self.retries < 0:
            return f"{self.retries} retries, expected at least 0"
        if self.draws is not None and self.sampling not in (Sampling.BOOTSTRAP, Sampling.RESAMPLE):
            return f"`draws`, which {self.sampling.name} does not use; only BOOTSTRAP and RESAMPLE do"
        if self.draws is not None and (not isinstance(self.draws, (int, np.integer)) or self.draws < 1):
            return f"{self.draws} draws, expected an integer of at least 1"
        chosen = weights[weights > 0]
        if self.sampling is Sampling.SUBSET and not np.allclose(chosen, chosen[0], rtol=1e-6, atol=0):
            return "different weights in a SUBSET, where those above 0 must be equal"
        return ""


@frozen(kw_only=True, eq=False)
class MemberResult:
    """The weight of a trained member, and the sample weights of the next one."""

    weight: float  #: the member's weight in the ensemble; 0 if it was discarded
    kept: bool
    error: float | None  #: weighted error on the train split; None if none was computed
    #: None: no further member can help; always None in an ensemble that is not sequential, whose members do not wait
    next: SampleWeights | None

    def problem(self, examples: int) -> str:
        """Why it is invalid for a member trained on that many examples; empty if it is valid."""
        if not np.isfinite(self.weight) or self.weight < 0:
            return f"weight {self.weight}, expected a finite number of at least 0"
        if not self.kept and self.weight:
            return f"weight {self.weight} of a member that is not kept, expected 0"
        if self.error is not None and not np.isfinite(self.error):
            return f"error {self.error}, expected a finite number"
        problem = "" if self.next is None else self.next.problem(examples)
        return f"next with {problem}" if problem else ""


class Ensemble(ABC):
    """A strategy. It depends on the index and the predecessor of a member, never on the size of the ensemble.

    Each member builds the strategy again, in another process: what both methods return must be a function of their
    arguments. Random choices come from `data.uniform` with the member's index among its arguments: they then depend on
    the seed of the ensemble and on the example, not on its position in the file.
    """

    @abstractmethod
    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """The sample weights of member `index` if no other member was updated before it.

        That is member 0, and every member of an ensemble that is not sequential.
        """

    @abstractmethod
    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """The result of member `index`, by its logits (N, C) on the whole train split in dataset order.

        `weights` is what it trained on; `logits` is None if the options set `needs_predictions = False`.
        """


_ARGUMENTS = {"first": ("index", "data"), "update": ("index", "weights", "logits", "data")}


def signature_problem(strategy: Ensemble) -> str:
    """Why the methods of a strategy cannot be called as those of `Ensemble`; empty if they can."""
    for name, arguments in _ARGUMENTS.items():
        signature = inspect.signature(getattr(strategy, name))
        try:
            signature.bind(*arguments)
        except TypeError:
            return (
                f"{name}({', '.join(signature.parameters)}) is called as {name}({', '.join(arguments)});"
                " data has the ids, labels and seed of the training examples, len(data) is their number (TrainingData)"
            )
    return ""


@frozen(kw_only=True)
class MergerOptions(Options):
    """The options of a rule that merges members."""

    role: ClassVar[str] = "merger"
    probabilities: ClassVar[bool] = False  #: the scores of classes are probabilities that sum to 1, not logits

    @abstractmethod
    def build(self, classes: int) -> Merger:
        """The rule for a task of `classes` classes, 1 for regression.

        Raises:
            UserError: the rule does not support that number of classes.
        """


class Merger(ABC):
    """A rule that merges members after training, from their stored logits."""

    @abstractmethod
    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """Scores (N, C) of logits (M, N, C) and weights (M,); the arg max is predicted, or column 0 for regression."""


@frozen(kw_only=True)
class EnsembleOptions(Options):
    """The options of an ensemble."""

    role: ClassVar[str] = "ensemble"
    sequential: ClassVar[bool]  #: member t trains after member t-1, on the `next` of its result
    needs_predictions: ClassVar[bool]  #: `update` reads the member's logits on the train split
    single: ClassVar[bool] = False  #: has exactly one member

    @abstractmethod
    def build(self, classes: int) -> Ensemble:
        """The strategy for a task of `classes` classes, 1 for regression."""

    @abstractmethod
    def merger(self, classes: int) -> MergerOptions:
        """The merger to use if the recipe names none."""
