"""DynaBERT's distillations: many sub-networks on the weights of one model, all of them in every step."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen, validators

from bebertlab.api import DistillationOptions, Phase, fractions

_WIDTHS = (1.0, 0.75, 0.5, 0.25)
_DEPTHS = (1.0, 0.75, 0.5)
_positive = validators.gt(0.0)


@frozen(kw_only=True)
class WidthDistillation(DistillationOptions):
    """One phase: sub-networks of several widths learn a teacher's predictions and hidden states.

    A step adds the losses of all widths, so that the weights that all of them share, those of the first heads and
    neurons, get the most gradient.
    Source: DynaBERT, arXiv:2004.04037, section 2.1; its published code.
    Differs: regression learns from the squared distance to the teacher's value, which the published code leaves out
    (`as_published`). That code distils only where the training data are augmented; without, it trains on gold labels
    in place of this phase, which is `dynabert-labels` with one depth.
    """

    kind = "dynabert-width"
    widths: tuple[float, ...] = field(default=_WIDTHS, validator=fractions)  #: fractions of the heads and neurons
    prediction_weight: float = field(default=1.0, validator=_positive)  #: of the cross entropy with the teacher
    hidden_weight: float = field(default=0.1, validator=_positive)  #: of the distance of hidden states
    as_published: bool = False  #: regression: the teacher's value is not used

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        losses = _losses(self.prediction_weight, self.hidden_weight, self.as_published)
        return (Phase(name="width", named_losses=losses, widths=self.widths),)


@frozen(kw_only=True)
class DepthDistillation(DistillationOptions):
    """One phase: sub-networks of several widths and depths learn a teacher's predictions and hidden states.

    The teacher is the model that the phase starts from, of full width and depth; a shallower sub-network is compared
    with the inputs of the layers that it keeps, and with the last hidden states.
    Source: DynaBERT, arXiv:2004.04037, section 2.2; its published code.
    Differs: in the paper a sub-network learns from a teacher of the same width, in the published code and here from
    the full one. Regression as in `dynabert-width`.
    """

    kind = "dynabert-depth"
    widths: tuple[float, ...] = field(default=_WIDTHS, validator=fractions)  #: fractions of the heads and neurons
    depths: tuple[float, ...] = field(default=_DEPTHS, validator=fractions)  #: fractions of the layers
    prediction_weight: float = field(default=1.0, validator=_positive)  #: of the cross entropy with the teacher
    hidden_weight: float = field(default=1.0, validator=_positive)  #: of the distance of hidden states
    as_published: bool = False  #: regression: the teacher's value is not used

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        losses = _losses(self.prediction_weight, self.hidden_weight, self.as_published)
        return (Phase(name="depth", named_losses=losses, widths=self.widths, depths=self.depths),)


@frozen(kw_only=True)
class LabelsDistillation(DistillationOptions):
    """One phase without a teacher: sub-networks of several widths and depths learn gold labels.

    Source: DynaBERT, arXiv:2004.04037, the final fine-tuning; its published code.
    """

    kind = "dynabert-labels"
    widths: tuple[float, ...] = field(default=_WIDTHS, validator=fractions)  #: fractions of the heads and neurons
    depths: tuple[float, ...] = field(default=_DEPTHS, validator=fractions)  #: fractions of the layers

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        return (Phase(name="labels", named_losses=("labels",), widths=self.widths, depths=self.depths),)


def _losses(prediction: float, hidden: float, as_published: bool) -> tuple[dict[str, Any], ...]:
    return (
        {"kind": "prediction", "reduction": "classes", "weight": prediction, "as_published": as_published},
        {"kind": "hidden", "weight": hidden},
    )
