"""BiBERT's distillation procedure."""

from __future__ import annotations

from attrs import field, frozen, validators

from bebertlab.api import LAYERS, DistillationOptions, Layers, LossOptions, Phase
from bebertlab_bibert.losses import BibertPrediction, Direction


@frozen(kw_only=True)
class DirectionMatchingDistillation(DistillationOptions):
    """One phase: directions of Q, K, V similarities and of hidden states, predictions and labels, all at once.

    Every term except that of the labels has weight 1; attention scores are not learned.
    Source: BiBERT, arXiv:2203.06390, section 3.3, and its published code (the switches `query_distill`, `key_distill`,
    `value_distill`, `intermediate_distill`, `pred_distill`).
    Differs: every switch is independent; in the code of BEBERT disabling the hidden states disables all other terms.
    """

    kind = "direction-matching"
    query: bool = True  #: the similarities Q Q^T are learned
    key: bool = True  #: the similarities K K^T are learned
    value: bool = True  #: the similarities V V^T are learned
    hidden: bool = True  #: the hidden states are learned, the embedding output included
    prediction: bool = field(default=True)  #: the teacher's predictions and the labels are learned
    labels_weight: float = field(
        default=0.5, validator=validators.ge(0)
    )  #: weight of the labels relative to the predictions
    per_example: bool = (
        False  #: one direction for each example, which an ensemble can weight; false: for the whole batch
    )
    include_padding: bool = True  #: padding counts like a word, as in the published code; false: real tokens only
    layers: Layers = field(
        default="uniform", validator=validators.in_(LAYERS)
    )  #: of a deeper teacher: every k-th, the last ones, or those that a slice by depth keeps

    @prediction.validator
    def _check_something(self, _: object, prediction: bool) -> None:
        if not (prediction or self._directions()):
            raise ValueError(
                "'query', 'key', 'value', 'hidden' and 'prediction' are all false: nothing would be learned"
            )

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        losses: list[LossOptions] = [BibertPrediction(labels_weight=self.labels_weight)] if self.prediction else []
        if self._directions():
            direction = Direction(
                query=self.query,
                key=self.key,
                value=self.value,
                hidden=self.hidden,
                per_example=self.per_example,
                include_padding=self.include_padding,
                layers=self.layers,
            )
            losses.append(direction)
        return (Phase(name="direction", losses=tuple(losses)),)

    def _directions(self) -> bool:
        return self.query or self.key or self.value or self.hidden
