"""The law of quantizers that hand over their scale apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from attrs import field, frozen
from torch import Tensor

from bebertlab.api import Codes, Quantizer, QuantizerOptions, sign, straight_through
from bebertlab.testing import ContractError, check_quantizer


class Factored(Quantizer):
    """A right quantizer: the sign times the mean size, which it can hand over apart."""

    bits = 1
    scale_of_scale = 1.0
    scale_of_gradient = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=sign(x.detach()).to(torch.int8), step=x.detach().abs().mean(), bits=1)

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        codes = self.encode(x)
        scale = codes.step * self.scale_of_scale
        return straight_through(sign(x.detach()), x * self.scale_of_gradient / codes.step), scale


@frozen(kw_only=True)
class Made(QuantizerOptions):
    kind: ClassVar[str] = "made"
    make: Callable[[], Any] = field(default=Factored)

    def build(self, shape: torch.Size) -> Quantizer:
        quantizer: Quantizer = self.make()
        return quantizer


class AnotherScale(Factored):
    scale_of_scale = 1.5


class AnotherGradient(Factored):
    scale_of_gradient = 1.5


def test_right_factors_pass() -> None:
    check_quantizer(Made())


@pytest.mark.parametrize(
    ("broken", "law"), [(AnotherScale, "do not give forward"), (AnotherGradient, "another gradient")]
)
def test_wrong_factors_are_found(broken: type[Factored], law: str) -> None:
    with pytest.raises(ContractError, match=law):
        check_quantizer(Made(make=broken))
