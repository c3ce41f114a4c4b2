"""Distillations: the phases in which a student learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import Attribute, evolve, field, frozen, validators

from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import Codec

#: width and depth of the model itself among the parts that a phase trains
WHOLE = (1.0, 1.0)

_positive = validators.optional(validators.gt(0))


def _distinct(_: object, attribute: Attribute[Any], values: tuple[float, ...]) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"'{attribute.name}' names a part twice: {values}")


#: validator of parts of a model: at least one, each above 0 and at most 1, none twice
fractions = validators.and_(
    validators.min_len(1), validators.deep_iterable(validators.and_(validators.gt(0), validators.le(1))), _distinct
)


@frozen(kw_only=True)
class Phase:
    """One stretch of training with a fresh optimizer and schedule, starting from the best state of the phase before."""

    name: str
    losses: tuple[LossOptions, ...] = ()
    #: further losses, those of another plugin or the core's `labels`: a kind with its defaults, or plain data as in
    #: YAML, {"kind": "labels", "weight": 0.5}
    named_losses: tuple[str | Mapping[str, Any], ...] = ()
    learning_rate_factor: float = field(default=1.0, validator=validators.gt(0))  #: times the stage's rate
    learning_rate: float | None = field(default=None, validator=_positive)  #: instead of the stage's rate
    epochs: int | None = field(default=None, validator=_positive)  #: instead of the stage's
    batch_size: int | None = field(default=None, validator=_positive)  #: instead of the stage's
    #: parts of the heads and neurons, and of the layers: each pair of them is a sub-network on the weights of the
    #: model, and a step goes by the sum of the losses of all; with 1 alone it is the model itself that is trained
    widths: tuple[float, ...] = field(default=(1.0,), validator=fractions)
    depths: tuple[float, ...] = field(default=(1.0,), validator=fractions)

    @property
    def parts(self) -> tuple[tuple[float, float], ...]:
        """Width and depth of every network that is trained, the deepest first, of equals the widest.

        >>> Phase(name="both", widths=(0.5, 1.0), depths=(1.0, 0.75)).parts
        ((1.0, 1.0), (0.5, 1.0), (1.0, 0.75), (0.5, 0.75))
        """
        widths, depths = sorted(self.widths, reverse=True), sorted(self.depths, reverse=True)
        return tuple((width, depth) for depth in depths for width in widths)


@frozen(kw_only=True)
class DistillationOptions(Options):
    """What YAML says of a distillation."""

    role: ClassVar[str] = "distillation"

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases in order."""


def resolve_phases(distillation: DistillationOptions, codec: Codec) -> tuple[Phase, ...]:
    """The phases of a distillation with every loss as its options; this is what a stage trains with.

    Raises:
        UserError: no plugin has a loss of that kind, or it has no such option.
    """
    return tuple(_resolve(phase, codec) for phase in distillation.phases())


def _resolve(phase: Phase, codec: Codec) -> Phase:
    named = tuple(codec.load(data, LossOptions) for data in phase.named_losses)  # type: ignore[type-abstract]
    return evolve(phase, losses=(*phase.losses, *named), named_losses=())
