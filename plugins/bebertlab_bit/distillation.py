"""BiT's distillation procedure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import Attribute, field, frozen, validators

from bebertlab.api import DistillationOptions, Phase


@frozen(kw_only=True)
class BitDistillation(DistillationOptions):
    """One phase: predictions and hidden states at once, each with weight 1; attention scores optionally.

    A chain of several steps is several stages: the teacher of a step is the quantized model of the previous step, and
    the student starts from it. The losses are those of kind `prediction`, `hidden` and `attention`.
    Source: BiT, arXiv:2205.13016, and its published code (`distill_logit`, `distill_rep`, `distill_attn`).
    Differs: for regression the squared distance of the values; the published code takes the soft cross entropy of one
    logit, which is always 0, as does `as_published`.
    """

    kind = "bit"
    prediction: bool = True  #: the teacher's predictions are learned
    hidden: bool = True  #: the hidden states are learned, the embedding output included
    attention: bool = field(default=False)  #: the attention scores are learned
    include_padding: bool = True  #: padding counts like a word in hidden states and scores, as in the published code
    temperature: float = field(default=1.0, validator=validators.gt(0))  #: both logits are divided by it
    reduction: Literal["elements", "classes"] = field(
        default="elements", validator=validators.in_(("elements", "classes"))
    )  #: over the classes of an example: mean (BiT), or sum (the usual cross entropy)
    as_published: bool = False  #: regression learns nothing from the predictions, as in the published code

    @attention.validator
    def _check_something(self, attribute: Attribute[bool], value: bool) -> None:
        if not (self.prediction or self.hidden or value):
            raise ValueError("'prediction', 'hidden' and 'attention' are all false, so nothing would be learned")

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        prediction = {
            "kind": "prediction",
            "temperature": self.temperature,
            "reduction": self.reduction,
            "as_published": self.as_published,
        }
        inner = {"include_padding": self.include_padding}
        choices: tuple[tuple[bool, Mapping[str, Any]], ...] = (
            (self.prediction, prediction),
            (self.hidden, {"kind": "hidden", **inner}),
            (self.attention, {"kind": "attention", **inner}),
        )
        return (Phase(name="bit", named_losses=tuple(loss for enabled, loss in choices if enabled)),)
