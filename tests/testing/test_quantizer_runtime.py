"""Quantizers that work in float32 on a CPU, and break elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from attrs import field, frozen
from torch import Tensor, nn

from bebertlab.api import SIGNS, Codes, Quantizer, QuantizerOptions, at_least_float32, sign, straight_through
from bebertlab.testing import ContractError, check_quantizer


class Learned(Quantizer):
    """A valid quantizer: the sign times a scale that the first batch sets."""

    alphabet = SIGNS

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("initialised", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.get_buffer("initialised"):
            self._set(x)
        levels = sign(at_least_float32(x).detach()).to(x.dtype)
        return straight_through(levels * self.scale.detach().to(x.dtype), x) + self._to_scale(levels)

    def encode(self, x: Tensor) -> Codes:
        levels = sign(at_least_float32(x).detach()).to(torch.int8)
        return Codes(levels=levels, step=self.scale.detach().to(x.dtype), alphabet=self.alphabet)

    def _set(self, x: Tensor) -> None:
        with torch.no_grad():
            self.scale.copy_(x.abs().mean())
            self.get_buffer("initialised").fill_(True)

    def _to_scale(self, levels: Tensor) -> Tensor:
        """0, with the gradient of the scale."""
        return levels * (self.scale - self.scale.detach()).to(levels.dtype)


@frozen(kw_only=True)
class FixedOptions(QuantizerOptions):
    kind: ClassVar[str] = "made"
    applies_to = "weights"
    make: Callable[[], Any] = field(default=Learned)

    def build(self, shape: torch.Size) -> Quantizer:
        quantizer: Quantizer = self.make()
        return quantizer


class ScaleOverflows(Learned):
    """The gradient of the scale is too large for half precision."""

    def _to_scale(self, levels: Tensor) -> Tensor:
        if levels.dtype == torch.float16:
            return levels * (self.scale - self.scale.detach()) * torch.tensor(1e10)
        return super()._to_scale(levels)


class OverflowsBackward(Learned):
    """The gradient of half precision is too large for it."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y + (x - x.detach()) * 1e5 * (x.dtype == torch.float16)


class TakesIntegers(Learned):
    """Integers become their signs, without their scale."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sign() if not x.is_floating_point() else super().forward(x)


class InitializesAgain(Learned):
    """The initialized flag is a plain attribute: it is lost when loaded."""

    known = False

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.known:
            self._set(x)
            self.known = True
        return super().forward(x)


class SharesItsCopies(Learned):
    def __deepcopy__(self, memory: dict[int, Any]) -> SharesItsCopies:
        other = copy.copy(self)
        other.__dict__ = {**self.__dict__}
        return other


class StaysOnTheCpu(Learned):
    """A tensor that is no buffer stays on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.ones = torch.ones(1, 16)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.ones.to(x.dtype)


class CreatesOnTheCpu(Learned):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach().new_empty(x.shape, device="cpu").fill_(0.0) + super().forward(x)


class ReadsNumbers(Learned):
    """Allowed: it makes a GPU wait, but is correct."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.0 if x.detach().abs().max().item() >= 0 else 0.5)


class ProgressChangesValues(Learned):
    def progress(self, fraction: float) -> None:
        with torch.no_grad():
            self.scale.mul_(1 + fraction)


class ProgressIsSaved(Learned):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("done", torch.tensor(0.0))

    def progress(self, fraction: float) -> None:
        self.get_buffer("done").fill_(fraction)


BROKEN: dict[type[Learned], str] = {
    ScaleOverflows: "values of torch.float16: the gradient of 'scale' is NaN",
    OverflowsBackward: "values of torch.float16: the gradient of x is NaN",
    TakesIntegers: "torch.int64: neither refused nor quantized",
    InitializesAgain: "trains differently",
    SharesItsCopies: "a deepcopy shares 'scale'",
    StaysOnTheCpu: "on another device: ",
    CreatesOnTheCpu: "on another device: ",
    ProgressChangesValues: "progress changes values",
    ProgressIsSaved: "progress changes 'done'",
}


@pytest.mark.parametrize("right", [Learned, ReadsNumbers])
def test_a_valid_quantizer_passes(right: type[Learned]) -> None:
    check_quantizer(FixedOptions(make=right))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_rule_is_named(broken: type[Learned]) -> None:
    with pytest.raises(ContractError, match=BROKEN[broken]):
        check_quantizer(FixedOptions(make=broken))


class BreaksTheGraph(Learned):
    def forward(self, x: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return super().forward(x)


@pytest.mark.slow
def test_a_graph_break_is_an_error() -> None:
    with pytest.raises(Exception, match="graph_break"):
        check_quantizer(FixedOptions(make=BreaksTheGraph), compiled=True)
