"""Distillations of the members in the variants of BEBERT, with the settings of its scripts.

The recipe determines where the members start: in all three variants from a split ternary model that was distilled in
two stages.
"""

from __future__ import annotations

from attrs import field, frozen, validators

from bebertlab.api import DistillationOptions, Phase


@frozen(kw_only=True)
class BebertA(DistillationOptions):
    """Variant A: no distillation in the members, the labels only.

    One phase: labels.
    Source: the BEBERT code (6 epochs, rate 5e-5, batches of 32). Differs: the teacher never runs.
    """

    kind = "bebert-a"
    epochs: int = field(default=6, validator=validators.ge(1))  #: passes over the train split
    learning_rate: float = field(default=5e-5, validator=validators.gt(0))  #: highest rate of the weights
    batch_size: int = field(default=32, validator=validators.ge(1))  #: examples per step

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        return (_phase(self, "labels", "labels"),)


@frozen(kw_only=True)
class BebertB(DistillationOptions):
    """Variant B: each member learns the teacher's predictions.

    One phase: prediction.
    Source: the BEBERT code (1 epoch, rate 5e-5, batches of 32).
    """

    kind = "bebert-b"
    epochs: int = field(default=1, validator=validators.ge(1))  #: passes over the train split
    learning_rate: float = field(default=5e-5, validator=validators.gt(0))  #: highest rate of the weights
    batch_size: int = field(default=32, validator=validators.ge(1))  #: examples per step

    def phases(self) -> tuple[Phase, ...]:
        """The one phase."""
        return (_phase(self, "prediction", "prediction"),)


@frozen(kw_only=True)
class BebertC(DistillationOptions):
    """Variant C: each member learns in two stages, first hidden states and attention scores, then predictions.

    Two phases: hidden and attention at 2.5 times the rate, then prediction.
    Source: the BEBERT code (1 epoch a phase, rate 5e-5, batches of 32).
    """

    kind = "bebert-c"
    epochs: int = field(default=1, validator=validators.ge(1))  #: of each phase
    learning_rate: float = field(default=5e-5, validator=validators.gt(0))  #: of the second phase
    batch_size: int = field(default=32, validator=validators.ge(1))  #: examples per step

    def phases(self) -> tuple[Phase, ...]:
        """The two phases."""
        first = _phase(self, "intermediate", "hidden", "attention", factor=2.5)
        return (first, _phase(self, "prediction", "prediction"))


def _phase(variant: BebertA | BebertB | BebertC, name: str, *losses: str, factor: float = 1.0) -> Phase:
    return Phase(
        name=name,
        named_losses=losses,
        epochs=variant.epochs,
        learning_rate=variant.learning_rate,
        learning_rate_factor=factor,
        batch_size=variant.batch_size,
    )
