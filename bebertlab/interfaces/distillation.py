"""Distillations: the phases in which a student trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import Attribute, evolve, field, frozen, validators

from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import Codec

#: width and depth of the whole model, as one of the sub-networks that a phase trains
WHOLE = (1.0, 1.0)

_positive = validators.optional(validators.gt(0))


def _distinct(_: object, attribute: Attribute[Any], values: tuple[float, ...]) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"'{attribute.name}' has a value twice: {values}")


#: validator of fractions of a model: at least one, each in (0, 1], without duplicates
fractions = validators.and_(
    validators.min_len(1), validators.deep_iterable(validators.and_(validators.gt(0), validators.le(1))), _distinct
)


@frozen(kw_only=True)
class Phase:
    """A part of training with a new optimizer and schedule, starting from the best state of the previous phase."""

    name: str
    losses: tuple[LossOptions, ...] = ()
    #: further losses, such as those of another plugin: a kind (with its defaults), or plain data as in YAML,
    #: {"kind": "labels", "weight": 0.5}
    named_losses: tuple[str | Mapping[str, Any], ...] = ()
    learning_rate_factor: float = field(default=1.0, validator=validators.gt(0))  #: times the stage's learning rate
    learning_rate: float | None = field(default=None, validator=_positive)  #: instead of the stage's
    epochs: int | None = field(default=None, validator=_positive)  #: instead of the stage's
    batch_size: int | None = field(default=None, validator=_positive)  #: instead of the stage's
    #: fractions of the heads and neurons, and of the layers: each pair is a sub-network on the weights of the model,
    #: and a step minimizes the sum of the losses of all; with 1.0 alone the model itself is trained
    widths: tuple[float, ...] = field(default=(1.0,), validator=fractions)
    depths: tuple[float, ...] = field(default=(1.0,), validator=fractions)

    @property
    def subnets(self) -> tuple[tuple[float, float], ...]:
        """Width and depth of every sub-network, the deepest first, and the widest first among those.

        >>> Phase(name="both", widths=(0.5, 1.0), depths=(1.0, 0.75)).subnets
        ((1.0, 1.0), (0.5, 1.0), (1.0, 0.75), (0.5, 0.75))
        """
        widths, depths = sorted(self.widths, reverse=True), sorted(self.depths, reverse=True)
        return tuple((width, depth) for depth in depths for width in widths)


@frozen(kw_only=True)
class DistillationOptions(Options):
    """The options of a distillation."""

    role: ClassVar[str] = "distillation"

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases in order."""


def resolve_phases(distillation: DistillationOptions, codec: Codec) -> tuple[Phase, ...]:
    """The phases of a distillation with `named_losses` loaded into `losses`; a stage trains with these.

    Raises:
        UserError: a kind or an option of a named loss is unknown.
    """
    return tuple(_resolve(phase, codec) for phase in distillation.phases())


def _resolve(phase: Phase, codec: Codec) -> Phase:
    named = tuple(codec.load(data, LossOptions) for data in phase.named_losses)  # type: ignore[type-abstract]
    return evolve(phase, losses=(*phase.losses, *named), named_losses=())
