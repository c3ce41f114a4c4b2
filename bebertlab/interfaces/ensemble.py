"""Ensembles: what each member trains on, what it weighs, and how members are merged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.interfaces.options import Options

Floats = NDArray[np.float64]


class Sampling(StrEnum):
    """How the weights of a round reach the training of a member."""

    ALL = "all"  #: every example once an epoch; the weights are not used
    BOOTSTRAP = "bootstrap"  #: one draw of N with replacement, the same in every epoch
    RESAMPLE = "resample"  #: a new draw of N with replacement in every epoch
    REWEIGHT = "reweight"  #: every example once an epoch, its loss times N * weight


@frozen(kw_only=True, eq=False)
class Round:
    """What one member trains on."""

    sampling: Sampling
    weights: Floats  #: (N,) over the train split in dataset order, sum 1
    retries: int = 0  #: members discarded in a row before this round


@frozen(kw_only=True, eq=False)
class Verdict:
    """What a trained member is worth, and what the next one trains on."""

    weight: float  #: the member's say in the ensemble; 0 where it was discarded
    kept: bool
    error: float | None  #: weighted error on the train split; None where none was computed
    next: Round | None  #: None: no further member can help


class Ensemble(ABC):
    """A strategy. A member knows its index and its predecessor, never the ensemble's size."""

    @abstractmethod
    def first(self, examples: int) -> Round:
        """What member 0 trains on (and every member of an ensemble that is not sequential)."""

    @abstractmethod
    def judge(self, index: int, round: Round, logits: Floats | None, labels: NDArray[Any]) -> Verdict:
        """Judge member `index` by its logits (N, C) on the whole train split in dataset order, labels (N,).

        logits is None where the options say `needs_predictions = False`.
        """


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
