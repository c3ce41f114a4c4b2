"""Rules that merge members: by values, by probabilities, by votes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from attrs import frozen

from bebertlab.api import Floats, Merger, MergerOptions, UserError

#: decimals of a share of votes; smaller differences count as ties, since sums of weights are rounded
_DECIMALS = 9


@frozen(kw_only=True)
class WeightedMeanOptions(MergerOptions):
    """The mean of the members' values by member weight; of a classification, the mean of their logits."""

    kind = "weighted_mean"

    def build(self, classes: int) -> Merger:
        """The rule, for classes and regression."""
        return WeightedMean()


class WeightedMean(Merger):
    """Averaged values.

    s_nk = sum_m w_m z_mnk / sum_m w_m.
    Shape: (M, N, C), (M,) -> (N, C).
    Differs from the BEBERT code, which divides by the number of members: other scale, same correlations and arg max.
    Logits of members that are not calibrated to each other are not comparable: prefer a mean of probabilities.
    """

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """The mean of each column."""
        merged: Floats = np.einsum("m,mnc->nc", weights / weights.sum(), logits)
        return merged


@frozen(kw_only=True)
class WeightedMedianOptions(MergerOptions):
    """The median of the members' values by member weight, for regression."""

    kind = "weighted_median"

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task has classes.
        """
        if classes > 1:
            raise UserError(
                f"merger '{self.kind}' is for regression and the task has {classes} classes;"
                " use weighted_probability, mean_probability or hard_vote"
            )
        return WeightedMedian()


class WeightedMedian(Merger):
    """The smallest value that members of at least half of the total weight do not exceed.

    Shape: (M, N, 1), (M,) -> (N, 1).
    Source: Drucker 1997 (AdaBoost.R2).
    """

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """The weighted median of each example."""
        order = logits[:, :, 0].argsort(axis=0, kind="stable")
        cumulative = np.cumsum(weights[order], axis=0)
        # half of this sum, not of weights.sum(): rounding must not push the half past a member
        position = (cumulative >= cumulative[-1] / 2).argmax(axis=0)
        chosen = np.take_along_axis(order, position[None], axis=0)[0]
        return logits[chosen, np.arange(logits.shape[1]), :]


@frozen(kw_only=True)
class MeanProbabilityOptions(MergerOptions):
    """The mean of the members' probabilities; every member has the same weight."""

    kind = "mean_probability"
    probabilities = True

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task is a regression.
        """
        _check_classes(self.kind, classes)
        return Probability(weighted=False)


@frozen(kw_only=True)
class WeightedProbabilityOptions(MergerOptions):
    """The mean of the members' probabilities by member weight."""

    kind = "weighted_probability"
    probabilities = True

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task is a regression.
        """
        _check_classes(self.kind, classes)
        return Probability(weighted=True)


@frozen
class Probability(Merger):
    """Averaged probabilities.

    s_nk = sum_m w_m softmax(z_mn)_k / sum_m w_m, with w_m = 1 where it is not weighted.
    Shape: (M, N, C), (M,) -> (N, C).
    Differs from the BEBERT code, which adds logits: members may have logits on different scales.
    """

    weighted: bool

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """The mean probability of each class."""
        shares = weights / weights.sum() if self.weighted else np.full(len(logits), 1 / len(logits))
        merged: Floats = np.einsum("m,mnc->nc", shares, softmax(logits))
        return merged


@frozen(kw_only=True)
class HardVoteOptions(MergerOptions):
    """Each member votes with its weight for its own prediction."""

    kind = "hard_vote"
    probabilities = True
    #: which of tied classes wins: the one with the larger weighted probability, or the lowest class
    tie: Literal["probability", "lowest_class"] = "probability"

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task is a regression.
        """
        _check_classes(self.kind, classes)
        return HardVote(by_probability=self.tie == "probability")


@frozen(kw_only=True)
class HardVote(Merger):
    """Weighted votes.

    s_nk = sum_m w_m [argmax z_mn = k] / sum_m w_m; of tied classes the one with the larger weighted probability wins,
    then the lower class.
    Shape: (M, N, C), (M,) -> (N, C).
    Source: AdaBoost's decision. Differs: the BEBERT code gives a tie to the lower class (`tie: lowest_class`).
    With two members the heavier member always wins.
    """

    by_probability: bool = True

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """The share of the votes for each class."""
        shares = weights / weights.sum()
        votes = np.eye(logits.shape[2])[logits.argmax(axis=2)]
        counted: Floats = np.einsum("m,mnc->nc", shares, votes).round(_DECIMALS)
        if self.by_probability:
            counted += 10.0 ** -(_DECIMALS + 1) * np.einsum("m,mnc->nc", shares, softmax(logits))
        return counted


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last dimension.

    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    powers: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def _check_classes(kind: str, classes: int) -> None:
    if classes == 1:
        raise UserError(
            f"merger '{kind}' needs classes and the task is a regression; use weighted_median or weighted_mean"
        )
