"""Boosting: members that train on the errors of the previous members."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from attrs import field, frozen, validators

from bebertlab.api import (
    Ensemble,
    EnsembleOptions,
    Floats,
    MemberResult,
    MergerOptions,
    SampleWeights,
    Sampling,
    TrainingData,
)
from bebertlab_bebert.merging import WeightedMedianOptions, WeightedProbabilityOptions

RegressionLoss = Literal["linear", "square", "exponential"]


@frozen(kw_only=True)
class BoostingOptions(EnsembleOptions):
    """Boosting: SAMME (AdaBoost for any number of classes), or AdaBoost.R2 for regression.

    The members' probabilities are averaged by member weight, since with hard votes the heavier of two members always
    wins; `rule: hard_vote` in the merge stage is AdaBoost's own decision. Regression takes the weighted median.
    """

    kind = "boosting"
    sequential = True
    needs_predictions = True

    #: resample: a new draw by the weights in every epoch; reweight: every example once, its loss times its weight
    sampling: Literal["resample", "reweight"] = "resample"
    #: members in a row that may be discarded (no better than chance) and retried with equal weights before it ends
    retries: int = field(default=2, validator=validators.ge(0))
    #: after a member without errors: continue with the same weights, or stop
    perfect: Literal["continue", "stop"] = "continue"
    #: lower bound of the error, which bounds the weight of a member
    error_floor: float = field(default=1e-10, validator=[validators.gt(0), validators.lt(0.1)])
    #: smallest weight of an example, as a fraction of an equal share
    weight_floor: float = field(default=0.0, validator=[validators.ge(0), validators.lt(1)])
    #: of AdaBoost.R2: loss of a value as a function of its error relative to the largest error
    loss: RegressionLoss = "square"

    def build(self, classes: int) -> Ensemble:
        """SAMME, or AdaBoost.R2 for regression."""
        reweighting = Reweighting(
            sampling=Sampling(self.sampling),
            retries=self.retries,
            stop_at_perfect=self.perfect == "stop",
            weight_floor=self.weight_floor,
        )
        if classes == 1:
            return AdaBoostR2(reweighting=reweighting, error_floor=self.error_floor, loss=self.loss)
        return Samme(reweighting=reweighting, error_floor=self.error_floor, classes=classes)

    def merger(self, classes: int) -> MergerOptions:
        """Probabilities by member weight, or the weighted median."""
        return WeightedProbabilityOptions() if classes > 1 else WeightedMedianOptions()


@frozen(kw_only=True)
class Reweighting:
    """The weights of the examples from one member to the next, shared by both kinds of boosting."""

    sampling: Sampling
    retries: int
    stop_at_perfect: bool
    weight_floor: float

    def equal(self, examples: int) -> SampleWeights:
        """Equal weights."""
        return SampleWeights(sampling=self.sampling, weights=np.full(examples, 1 / examples))

    def kept(self, weight: float, error: float, weights: Floats) -> MemberResult:
        """The result of a useful member; the new `weights` of the examples need not sum to 1."""
        shares = weights / weights.sum()
        if self.weight_floor > 0:
            shares = np.maximum(shares, self.weight_floor / len(shares))
            shares = shares / shares.sum()
        following = SampleWeights(sampling=self.sampling, weights=shares)
        return MemberResult(weight=weight, kept=True, error=error, next=following)

    def perfect(self, weight: float, weights: Floats) -> MemberResult:
        """The result of a member without errors, after which the weights of the examples are unchanged."""
        following = SampleWeights(sampling=self.sampling, weights=weights / weights.sum())
        return MemberResult(weight=weight, kept=True, error=0.0, next=None if self.stop_at_perfect else following)

    def discarded(self, error: float, weights: SampleWeights) -> MemberResult:
        """The result of a member no better than chance: the next one starts from equal weights, up to `retries`."""
        following = None
        if weights.retries < self.retries:
            equal = np.full(len(weights.weights), 1 / len(weights.weights))
            following = SampleWeights(sampling=self.sampling, weights=equal, retries=weights.retries + 1)
        return MemberResult(weight=0.0, kept=False, error=error, next=following)


@frozen(kw_only=True)
class Samme(Ensemble):
    """AdaBoost for C classes.

    e = sum of v_n over misses,  a = ln((1 - e) / e) + ln(C - 1),  v_n <- v_n exp(a [n is a miss]) / sum.
    A member with e >= 1 - 1/C is discarded.
    Shape: logits (N, C), labels (N,) -> weights (N,).
    Source: Zhu et al., Multi-class AdaBoost, 2009 (for C = 2, AdaBoost.M1 with twice its member weight).
    Differs from the BEBERT code: predictions of the whole train split in its order, the term ln(C - 1), a bound where
    e = 0, and no member of negative weight.
    """

    reweighting: Reweighting
    error_floor: float
    classes: int

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """Equal weights."""
        return self.reweighting.equal(len(data))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Weight the member by its weighted error, and raise the weights of the misclassified examples."""
        if logits is None:
            raise ValueError("boosting needs the logits of a member")
        miss = logits.argmax(axis=1) != data.labels
        shares = weights.weights / weights.weights.sum()
        error = float(shares[miss].sum())
        if error >= 1 - 1 / self.classes - 1e-12:  # chance level, as a sum of rounded weights
            return self.reweighting.discarded(error, weights)
        bounded = max(error, self.error_floor)
        weight = math.log((1 - bounded) / bounded) + math.log(self.classes - 1)
        if not miss.any():
            return self.reweighting.perfect(weight, shares)
        return self.reweighting.kept(weight, error, shares * np.exp(weight * miss))


@frozen(kw_only=True)
class AdaBoostR2(Ensemble):
    """AdaBoost.R2.

    d_n = |f_n - y_n|,  r_n = d_n / max d,  l_n = r_n (linear), r_n^2 (square) or 1 - exp(-r_n) (exponential),
    e = sum v_n l_n,  b = e / (1 - e),  v_n <- v_n b^(1 - l_n) / sum,  member weight ln(1 / b).
    A member with e >= 0.5 is discarded.
    Shape: logits (N, 1), labels (N,) -> weights (N,).
    Source: Drucker, Improving Regressors using Boosting Techniques, 1997.
    Differs: a discarded member is retried with equal weights, up to `retries` times. The BEBERT code
    keeps such members, with a negative weight. After a member without any error it continues, unless `perfect` is
    "stop" as in Drucker, so that an ensemble has the requested size.
    """

    reweighting: Reweighting
    error_floor: float
    loss: RegressionLoss

    def first(self, index: int, data: TrainingData) -> SampleWeights:
        """Equal weights."""
        return self.reweighting.equal(len(data))

    def update(self, index: int, weights: SampleWeights, logits: Floats | None, data: TrainingData) -> MemberResult:
        """Weight the member by its weighted loss, and lower the weights of well predicted examples."""
        if logits is None:
            raise ValueError("boosting needs the logits of a member")
        distance = np.abs(logits[:, 0] - data.labels)
        shares = weights.weights / weights.weights.sum()
        if not distance.any():
            return self.reweighting.perfect(-math.log(_odds(self.error_floor)), shares)
        loss = self._losses(distance / distance.max())
        error = float(shares @ loss)
        if error >= 0.5:
            return self.reweighting.discarded(error, weights)
        beta = _odds(max(error, self.error_floor))
        return self.reweighting.kept(-math.log(beta), error, shares * beta ** (1 - loss))

    def _losses(self, relative: Floats) -> Floats:
        if self.loss == "linear":
            return relative
        return relative**2 if self.loss == "square" else -np.expm1(-relative)


def _odds(error: float) -> float:
    return error / (1 - error)
