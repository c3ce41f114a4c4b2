"""Members that train on what the ones before them got wrong."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from bebertlab.api import Ensemble, EnsembleOptions, MergerOptions, Sampling
from bebertlab_bebert.average import WeightedMedianOptions
from bebertlab_bebert.probability import WeightedProbabilityOptions
from bebertlab_bebert.r2 import AdaBoostR2
from bebertlab_bebert.rounds import Rounds
from bebertlab_bebert.samme import Samme


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
    #: members in a row that may be discarded (no better than chance) and tried again with equal weights; then it ends
    retries: int = field(default=2, validator=validators.ge(0))
    #: after a member without errors: go on with the same weights, or end
    perfect: Literal["continue", "stop"] = "continue"
    #: an error below it counts as this much, which bounds the weight of a member
    error_floor: float = field(default=1e-10, validator=[validators.gt(0), validators.lt(0.1)])
    #: no example weighs less than this part of an equal share
    weight_floor: float = field(default=0.0, validator=[validators.ge(0), validators.lt(1)])
    #: of AdaBoost.R2: how the error of a value counts, relative to the largest one
    loss: Literal["linear", "square", "exponential"] = "square"

    def build(self, classes: int) -> Ensemble:
        """SAMME, or AdaBoost.R2 for regression."""
        rounds = Rounds(
            sampling=Sampling(self.sampling),
            retries=self.retries,
            stop_at_perfect=self.perfect == "stop",
            weight_floor=self.weight_floor,
        )
        if classes == 1:
            return AdaBoostR2(rounds=rounds, error_floor=self.error_floor, loss=self.loss)
        return Samme(rounds=rounds, error_floor=self.error_floor, classes=classes)

    def merger(self, classes: int) -> MergerOptions:
        """Probabilities by member weight, or the weighted median."""
        return WeightedProbabilityOptions() if classes > 1 else WeightedMedianOptions()
