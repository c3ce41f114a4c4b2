"""Merging by votes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from attrs import frozen

from bebertlab.api import Floats, Merger, MergerOptions
from bebertlab_bebert.probability import need_classes, softmax

#: decimals of a share of votes; what differs by less is tied, since sums of weights are rounded
_DECIMALS = 9


@frozen(kw_only=True)
class HardVoteOptions(MergerOptions):
    """Each member votes with its weight for its own prediction."""

    kind = "hard_vote"
    #: which of tied classes wins: the one of the larger weighted probability, or the lowest at once
    tie: Literal["probability", "lowest_class"] = "probability"

    def build(self, classes: int) -> Merger:
        """The rule.

        Raises:
            UserError: the task is a regression.
        """
        need_classes(self.kind, classes)
        return HardVote(by_probability=self.tie == "probability")


@frozen(kw_only=True)
class HardVote(Merger):
    """Weighted votes.

    s_nk = sum_m w_m [argmax z_mn = k] / sum_m w_m; of tied classes the one of the larger weighted probability wins,
    then the lower class.
    Shape: (M, N, C), (M,) -> (N, C).
    Source: AdaBoost's decision. Differs: the BEBERT code gives a tie to the lower class at once (`tie: lowest_class`).
    With two members the heavier one always wins.
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
