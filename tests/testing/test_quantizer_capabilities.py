"""Every capability: an implementation that keeps its rule passes, a broken one is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn

from bebertlab.api import (
    SIGNS,
    ZERO_ONE,
    Alphabet,
    Codes,
    LevelGrid,
    Quantizer,
    QuantizerOptions,
    Threshold,
    sign,
    straight_through,
)
from bebertlab.testing import ContractError, check_quantizer
from bebertlab.testing.quantizer_capabilities import check_capabilities

X = torch.linspace(-1, 1, 12).view(3, 4)


class Gain(Quantizer):
    """Integers times a gain."""

    alphabet = Alphabet.signed(4)

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.25))

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)

    def encode(self, x: Tensor) -> Codes:
        step = self.gain.detach()
        return Codes(levels=(x.detach() / step).round().to(torch.int8), step=step, alphabet=self.alphabet)


class SameResultForAll(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return [self(x)] * (1 + len(others))


class MissingResult(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return [self(x), *(other(x) for other in others[:-1])]


class Separately(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return [self(x), *(other(x) for other in others)]

    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        return [self.encode(x), *(other.encode(x) for other in others)]


@pytest.mark.parametrize("valid", [Gain, Separately])
def test_branches_that_are_quantized_separately_pass(valid: type[Gain]) -> None:
    check_capabilities(valid(), X)


@pytest.mark.parametrize("broken", [SameResultForAll, MissingResult])
def test_differing_values_of_a_branch_are_an_error(broken: type[Gain]) -> None:
    with pytest.raises(ContractError, match="forward_branches does not give"):
        check_capabilities(broken(), X)


class Detached(Gain):
    def forward_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return [branch(x.detach() + 0 * x) for branch in (self, *others)]


def test_missing_gradients_are_an_error() -> None:
    with pytest.raises(ContractError, match="forward_branches does not give x"):
        check_capabilities(Detached(), X)


class SameCodesForAll(Gain):
    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        return [self.encode(x)] * (1 + len(others))


class CodesMissing(Gain):
    def encode_branches(self, others: Sequence[Quantizer], x: Tensor) -> list[Codes]:
        return [self.encode(x), *(other.encode(x) for other in others[:-1])]


@pytest.mark.parametrize("broken", [SameCodesForAll, CodesMissing])
def test_differing_codes_of_a_branch_are_an_error(broken: type[Gain]) -> None:
    with pytest.raises(ContractError, match="encode_branches does not give"):
        check_capabilities(broken(), X)


class Misspelt(Gain):
    def forward_branch(self, others: Sequence[Quantizer], x: Tensor) -> list[Tensor]:
        return [self(x), *(other(x) for other in others)]


class MisspeltAttribute(Gain):
    rowwise = True


class TooFewArguments(Gain):
    def encode_branches(self, x: Tensor) -> list[Codes]:
        return [self.encode(x)]


class NoMethod(Gain):
    progress = 0.5


class UnknownState(Gain):
    transferable_state = frozenset({"shift"})


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Misspelt, "'forward_branch' is no capability; did you mean 'forward_branches'"),
        (MisspeltAttribute, "'rowwise' is no capability; did you mean 'row_wise'"),
        (TooFewArguments, r"cannot be called as encode_branches\(others, x\)"),
        (NoMethod, r"'progress' is no method; expected progress\(fraction\)"),
        (UnknownState, "transferable_state has 'shift'"),
    ],
)
def test_a_misspelt_capability_is_named(broken: type[Gain], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_capabilities(broken(), X)


class Separable(Quantizer):
    """The sign times the mean magnitude, which can be separated."""

    alphabet = SIGNS
    scale_of_scale = 1.0
    scale_of_gradient = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=sign(x.detach()).to(torch.int8), step=x.detach().abs().mean(), alphabet=self.alphabet)

    def forward_unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        codes = self.encode(x)
        scale = codes.step * self.scale_of_scale
        return straight_through(sign(x.detach()), x * self.scale_of_gradient / codes.step), scale


@frozen(kw_only=True)
class FixedOptions(QuantizerOptions):
    kind: ClassVar[str] = "made"
    make: Callable[[], Any] = field(default=Separable)

    def build(self, shape: torch.Size) -> Quantizer:
        quantizer: Quantizer = self.make()
        return quantizer


class AnotherScale(Separable):
    scale_of_scale = 1.5


class AnotherGradient(Separable):
    scale_of_gradient = 1.5


def test_values_and_scale_with_a_correct_product_pass() -> None:
    check_quantizer(FixedOptions())


@pytest.mark.parametrize(
    ("broken", "message"), [(AnotherScale, "is not forward"), (AnotherGradient, "another gradient")]
)
def test_a_differing_product_or_gradient_is_an_error(broken: type[Separable], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_quantizer(FixedOptions(make=broken))


class Compared(Quantizer):
    """The sign of x plus a shift, with a step of two."""

    alphabet = SIGNS
    shift = torch.tensor([0.25, -0.5, 0.0, 0.125])

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)

    def encode(self, x: Tensor) -> Codes:
        return Codes(
            levels=sign(x.detach() + self.shift).to(torch.int8), step=torch.tensor(2.0), alphabet=self.alphabet
        )

    def binary_threshold(self) -> Threshold | None:
        return Threshold(step=torch.tensor(2.0), shift=self.shift)


class Rounded(Quantizer):
    """Levels 0 and 1 by rounding, a step of 0.3 apart."""

    alphabet = ZERO_ONE
    step = torch.tensor(0.3)
    shift = torch.tensor([0.25, -0.5, 0.0, 0.125])

    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)

    def encode(self, x: Tensor) -> Codes:
        levels = ((x.detach() + self.shift) / self.step).clamp(0, 1).round()
        return Codes(levels=levels.to(torch.int8), step=self.step, alphabet=self.alphabet)

    def binary_threshold(self) -> Threshold:
        return Threshold(step=self.step, shift=self.shift, border=self.step / 2, inclusive=False)


class HalfIsHigh(Rounded):
    shift = torch.zeros(4)

    def binary_threshold(self) -> Threshold:
        return Threshold(step=self.step, border=self.step / 2)


class BorderOfSteps(Rounded):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=self.step, shift=self.shift, border=torch.tensor(0.5), inclusive=False)


class BorderOfRows(Rounded):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=self.step, shift=self.shift, border=torch.full((4,), 0.15))


class BorderInDouble(Rounded):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=self.step, shift=self.shift, border=torch.tensor(0.15, dtype=torch.float64))


class AnotherStep(Compared):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=torch.tensor(1.0), shift=self.shift)


class StepOfRows(Compared):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=torch.full((4,), 2.0), shift=self.shift)


class WithoutShift(Compared):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=torch.tensor(2.0))


class BorderExcluded(Compared):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=torch.tensor(2.0), shift=self.shift, inclusive=False)


class DividesTheSmallest(Compared):
    def encode(self, x: Tensor) -> Codes:
        levels = sign((x.detach() + self.shift) / 2.0)  # -2^-149 / 2 is -0, which counts as +1
        return Codes(levels=levels.to(torch.int8), step=torch.tensor(2.0), alphabet=self.alphabet)


class ThresholdOfMany(Gain):
    def binary_threshold(self) -> Threshold:
        return Threshold(step=torch.tensor(0.25))


class NoThreshold(ThresholdOfMany):
    def binary_threshold(self) -> None:  # type: ignore[override]
        return None


@pytest.mark.parametrize("valid", [Compared, Rounded, NoThreshold])
def test_a_threshold_that_decides_the_levels_passes(valid: type[Quantizer]) -> None:
    check_capabilities(valid(), X)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (AnotherStep, "does not give the step of binary_threshold"),
        (StepOfRows, r"has shape \(4,\), not \(\)"),
        (WithoutShift, "does not give the levels of binary_threshold"),
        (BorderExcluded, "does not give the levels of binary_threshold"),
        (DividesTheSmallest, "does not give the levels of binary_threshold"),
        (ThresholdOfMany, "has other levels"),
        (HalfIsHigh, "does not give the levels of binary_threshold"),
        (BorderOfSteps, "does not give the levels of binary_threshold"),
        (BorderOfRows, r"border of binary_threshold\(\) is torch.float32 of shape \(4,\), not torch.float32 of shape"),
        (BorderInDouble, r"border of binary_threshold\(\) is torch.float64 of shape \(\), not torch.float32"),
    ],
)
def test_a_threshold_that_decides_otherwise_is_an_error(broken: type[Quantizer], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_capabilities(broken(), X)


class Gridded(Quantizer):
    """Levels 0.5 apart, from the smallest value of the tensor up, after a shift."""

    alphabet = Alphabet.unsigned(3)

    def __init__(self) -> None:
        super().__init__()
        self.grid_shift: Tensor | None = torch.linspace(-0.5, 0.5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).decode()

    def encode(self, x: Tensor) -> Codes:
        total = x.detach() if self.grid_shift is None else x.detach() + self.grid_shift
        base = total.amin()
        levels = ((total - base) / 0.5).clamp(0, 7).round()
        return Codes(levels=levels.to(torch.uint8), step=torch.tensor(0.5), offset=base, alphabet=self.alphabet)

    def level_grid(self, smallest: float, largest: float) -> LevelGrid | None:
        return LevelGrid(step=0.5, offset=smallest, base=smallest, divisor=0.5)


class RoundsUp(Gridded):
    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(x)
        total = x.detach() if self.grid_shift is None else x.detach() + self.grid_shift
        levels = ((total - total.amin()) / 0.5 + 0.5).floor().clamp(0, 7)  # ties go up
        return evolve(codes, levels=levels.to(torch.uint8))


class WithoutGridShift(Gridded):
    def encode(self, x: Tensor) -> Codes:
        self.grid_shift = None
        return super().encode(x)


class AnotherGridStep(Gridded):
    def level_grid(self, smallest: float, largest: float) -> LevelGrid:
        return LevelGrid(step=0.25, offset=smallest, base=smallest, divisor=0.5)


class WithoutGridOffset(Gridded):
    def level_grid(self, smallest: float, largest: float) -> LevelGrid:
        return LevelGrid(step=0.5, base=smallest, divisor=0.5)


class NegativeDivisor(Gridded):
    def level_grid(self, smallest: float, largest: float) -> LevelGrid:
        return LevelGrid(step=0.5, offset=smallest, base=smallest, divisor=-0.5)


class LargestLevels(Gridded):
    alphabet = Alphabet(0, 2**23)


class NoGrid(AnotherGridStep):
    def level_grid(self, smallest: float, largest: float) -> None:  # type: ignore[override]
        return None


@pytest.mark.parametrize("valid", [Gridded, NoGrid])
def test_a_grid_that_gives_the_levels_passes(valid: type[Quantizer]) -> None:
    check_capabilities(valid(), X)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (RoundsUp, "does not give the levels of level_grid"),
        (WithoutGridShift, "does not give the levels of level_grid"),
        (AnotherGridStep, "does not give the step and the offset of level_grid"),
        (WithoutGridOffset, "does not give the step and the offset of level_grid"),
        (NegativeDivisor, "that is not positive"),
        (LargestLevels, "levels reach 8388608"),
    ],
)
def test_a_grid_that_gives_other_levels_is_an_error(broken: type[Quantizer], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_capabilities(broken(), X)
