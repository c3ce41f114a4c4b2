"""Merging by values."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from bebertlab.api import Floats, Merger, MergerOptions, UserError


@frozen(kw_only=True)
class WeightedMeanOptions(MergerOptions):
    """The mean of the members' values by member weight; of a classification, the mean of their logits."""

    kind = "weighted_mean"

    def build(self, classes: int) -> Merger:
        """The rule."""
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
    """The smallest value such that members of at least half of all weight say no more than it.

    Shape: (M, N, 1), (M,) -> (N, 1).
    Source: Drucker 1997 (AdaBoost.R2).
    """

    def merge(self, logits: Floats, weights: Floats) -> Floats:
        """The weighted median of each example."""
        order = logits[:, :, 0].argsort(axis=0, kind="stable")
        reached = np.cumsum(weights[order], axis=0)
        # half of the sum that was reached, not of another sum: rounding must not push the half past a member
        place = (reached >= reached[-1] / 2).argmax(axis=0)
        chosen = np.take_along_axis(order, place[None], axis=0)[0]
        return logits[chosen, np.arange(logits.shape[1]), :]
