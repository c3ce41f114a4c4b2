"""Binary weights whose scale is a power mean of their magnitudes."""

import torch
from attrs import field, frozen, validators
from torch import Tensor

from bebertlab.api import SIGNS, Codes, Quantizer, QuantizerOptions, hookimpl, sign, straight_through


class PowerSign(Quantizer):
    alphabet = SIGNS  # -1 and +1, one bit each

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def encode(self, x: Tensor) -> Codes:
        """Integers and their scale: what is stored, and what predictions multiply."""
        scale = x.abs().pow(self.power).mean().pow(1 / self.power)
        return Codes(levels=sign(x).to(torch.int8), step=scale, alphabet=SIGNS)

    def forward(self, x: Tensor) -> Tensor:
        """Fake quantization; the gradient passes straight through."""
        return straight_through(self.encode(x).decode(), x)


@frozen(kw_only=True)
class PowerSignOptions(QuantizerOptions):
    """Binary weights: the sign times the power mean of all magnitudes."""

    kind = "power_sign"
    power: float = field(default=2.0, validator=validators.gt(0))  #: of the mean; 1 gives BWN

    def build(self, shape: torch.Size) -> PowerSign:
        return PowerSign(self.power)


@hookimpl
def bebertlab_quantizers() -> list[type[QuantizerOptions]]:
    return [PowerSignOptions]
