"""Merging by probabilities."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from bebertlab.api import Floats, Merger, MergerOptions, UserError


@frozen(kw_only=True)
class MeanProbabilityOptions(MergerOptions):
    """The mean of the members' probabilities; every member counts the same."""

    kind = "mean_probability"

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task is a regression.
        """
        need_classes(self.kind, classes)
        return Probability(weighted=False)


@frozen(kw_only=True)
class WeightedProbabilityOptions(MergerOptions):
    """The mean of the members' probabilities by member weight."""

    kind = "weighted_probability"

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task is a regression.
        """
        need_classes(self.kind, classes)
        return Probability(weighted=True)


@frozen
class Probability(Merger):
    """Averaged probabilities.

    s_nk = sum_m w_m softmax(z_mn)_k / sum_m w_m, with w_m = 1 where it is not weighted.
    Shape: (M, N, C), (M,) -> (N, C).
    Differs from the BEBERT code, which adds up logits: those of one member are not on the scale of another's.
    """

    weighted: bool

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """The mean probability of each class."""
        shares = weights / weights.sum() if self.weighted else np.full(len(logits), 1 / len(logits))
        merged: Floats = np.einsum("m,mnc->nc", shares, softmax(logits))
        return merged


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last dimension.

    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    powers: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def need_classes(kind: str, classes: int) -> None:
    """Refuse a rule of classification for a regression.

    Raises:
        UserError: names the rules that would be right.
    """
    if classes == 1:
        raise UserError(
            f"merger '{kind}' needs classes and the task is a regression; use weighted_median or weighted_mean"
        )
