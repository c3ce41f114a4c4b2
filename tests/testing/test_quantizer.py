"""A valid quantizer passes; for a broken one the broken rule is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn

from bebertlab.api import (
    SIGNS,
    TERNARY,
    Alphabet,
    Codes,
    ParameterGroup,
    Quantizer,
    QuantizerOptions,
    UserError,
    sign,
    straight_through,
)
from bebertlab.testing import ContractError, check_quantizer
from bebertlab.testing.quantizer import (
    CHANNELS,
    MATRIX,
    ORDINARY,
    balanced,
    check_codes,
    matrices,
    probabilities,
    states,
)


class Scaled(Quantizer):
    """A valid quantizer: the sign times the root mean square of a row, times a trained gain."""

    alphabet = SIGNS
    row_wise = True

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        value = self.encode(x).decode()
        return straight_through(value, x) + value.detach() * (self.gain - self.gain.detach()).to(x.dtype)

    def encode(self, x: Tensor) -> Codes:
        x = x.detach()
        step = x.square().mean(-1, keepdim=True).sqrt() * self.gain.detach().to(x.dtype)
        return Codes(levels=sign(x).to(torch.int8), step=step, alphabet=self.alphabet)

    def parameter_groups(self) -> Iterable[ParameterGroup]:
        return [ParameterGroup(parameters=(self.gain,))]


@frozen(kw_only=True)
class FixedOptions(QuantizerOptions):
    kind: ClassVar[str] = "made"
    make: Callable[[], Any] = field(default=Scaled)

    def build(self, shape: torch.Size) -> Quantizer:
        quantizer: Quantizer = self.make()
        return quantizer


class WrongShape(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten()


class WrongDtype(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.double())


class Approximate(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + 1e-6)


class RoundedOnTheWay(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return x + (super().forward(x) - x).detach()


class NanOnZeros(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (x.abs().sum(-1, keepdim=True) / x.abs().sum(-1, keepdim=True))


class FloatLevels(Scaled):
    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(x)
        return evolve(codes, levels=codes.levels.to(x.dtype))


class ThirdLevel(Scaled):
    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), levels=x.detach().sign().to(torch.int8))


class ZeroIsMinusOne(Scaled):
    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), levels=-sign(-x.detach()).to(torch.int8))


class SignOfZeroCounts(Scaled):
    def encode(self, x: Tensor) -> Codes:
        ones = torch.ones((), dtype=x.dtype)
        return evolve(super().encode(x), levels=torch.copysign(ones, x.detach()).to(torch.int8))


class OtherAlphabet(Scaled):
    alphabet = TERNARY

    def encode(self, x: Tensor) -> Codes:
        return evolve(super().encode(x), alphabet=SIGNS)


class OtherBits(Scaled):
    bits = 2


class NoAlphabet(Scaled):
    alphabet = None  # type: ignore[assignment] # what this is about


class FarApart(Scaled):
    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(x)
        return evolve(codes, levels=codes.levels * 64, step=codes.step / 64)


class NoGradient(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach())


class ZeroGradient(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach()) + 0.0 * x


class NanGradient(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return straight_through(super().forward(x).detach(), (x - x).sqrt() * 0.0) + self.gain * 0.0


class GainNotReached(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return straight_through(self.encode(x).decode(), x)


class NoGroup(Scaled):
    def parameter_groups(self) -> Iterable[ParameterGroup]:
        return ()


class TwoGroups(Scaled):
    def parameter_groups(self) -> Iterable[ParameterGroup]:
        return [ParameterGroup(parameters=(self.gain,))] * 2


class ForeignParameter(Scaled):
    def parameter_groups(self) -> Iterable[ParameterGroup]:
        return [ParameterGroup(parameters=(self.gain, nn.Parameter(torch.zeros(1))))]


class ForgottenState(Scaled):
    """State that the first batch sets is a plain attribute."""

    factor: float | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.factor is None:
            self.factor = float(x.abs().max())
        return super().forward(x)

    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(x)
        return evolve(codes, step=codes.step * (self.factor or 1.0))


class CountsCalls(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.get_buffer("calls").add_(1)
        return super().forward(x)


class NotRowWise(Scaled):
    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(x)
        return evolve(codes, step=codes.step.mean().expand_as(codes.step))


class Centred(Scaled):
    """A valid quantizer too: the mean of the whole table is subtracted first, the sign has a trained step."""

    def forward_rows(self, rows: Tensor, table: Tensor) -> Tensor:
        levels, gain = sign(rows.detach() - table.detach().mean()), self.gain.to(rows.dtype)
        return straight_through(levels * gain, rows) + levels * (gain - gain.detach())

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_rows(x, x)

    def encode(self, x: Tensor) -> Codes:
        levels = sign(x.detach() - x.detach().mean()).to(torch.int8)
        return Codes(levels=levels, step=self.gain.detach().to(x.dtype), alphabet=SIGNS)


class CentredZeroIsMinusOne(Centred):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(-x)

    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(-x)
        return evolve(codes, levels=-codes.levels)


class RowsWithoutTheTable(Centred):
    def forward_rows(self, rows: Tensor, table: Tensor) -> Tensor:
        return super().forward_rows(rows, rows)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward_rows(x, x)


class RowsWithoutGradient(Scaled):
    def forward_rows(self, rows: Tensor, table: Tensor) -> Tensor:
        quantized: Tensor = self(rows)
        return quantized + 0.5 * (rows - rows.detach())


class CopyOfTheGain(Scaled):
    """The forward pass reads the initial value of the trained parameter."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            first = super().forward(x) / self.gain
        return straight_through(first, x) + self.gain * 0.0


class InPlace(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x.mul_(2.0)
        return super().forward(x)


class GradientChangesValues(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.5 if x.requires_grad else 1.0)


class ReadsMemoryOrder(Scaled):
    def encode(self, x: Tensor) -> Codes:
        codes = super().encode(x)
        return codes if x.is_contiguous() else evolve(codes, step=codes.step * 2)


BROKEN: dict[type[Scaled], str] = {
    WrongShape: "turns shape",
    WrongDtype: "turns torch.float32 into torch.float64",
    Approximate: r"encode\(x\).decode\(\) differs from forward\(x\)",
    RoundedOnTheWay: r"encode\(x\).decode\(\) differs from forward\(x\)",
    NanOnZeros: "a row of zeros before training: forward gives NaN",
    FloatLevels: "not of an integer dtype",
    ThirdLevel: r"levels \[-1, 0, 1\] are not all in the declared",
    ZeroIsMinusOne: r"zero does not count as \+1",
    SignOfZeroCounts: r"zero does not count as \+1|different levels",
    OtherAlphabet: r"codes have the Alphabet\(low=-1, high=1, spacing=2\), the quantizer",
    OtherBits: "bits is 2, but its Alphabet",
    NoAlphabet: "declares no `alphabet`",
    FarApart: r"levels \[-64, 64\] are not all in",
    NoGradient: "no gradient reaches x",
    ZeroGradient: "0 everywhere",
    NanGradient: "NaN or infinite",
    GainNotReached: "no gradient reaches parameter 'gain'",
    NoGroup: "'gain' is in 0 parameter groups",
    TwoGroups: "'gain' is in 2 parameter groups",
    ForeignParameter: "holds a parameter that is not the quantizer's",
    ForgottenState: "state dict does not hold",
    CountsCalls: "evaluation changes 'calls'",
    NotRowWise: r"row_wise is True, but forward\(x\[i\]\) is not forward\(x\)\[i\]",
    RowsWithoutTheTable: r"forward_rows\(x\[i\], x\) is not forward\(x\)\[i\]",
    RowsWithoutGradient: "in its gradient",
    CentredZeroIsMinusOne: r"neither zeros nor the level \+1|zero does not count as \+1",
    CopyOfTheGain: "after its parameters moved",
    InPlace: "in place|differs from forward",
    GradientChangesValues: "where x requires a gradient",
    ReadsMemoryOrder: "transposed view",
}


@pytest.mark.parametrize("right", [Scaled, Centred])
def test_a_valid_quantizer_passes(right: type[Scaled]) -> None:
    check_quantizer(FixedOptions(make=right))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_rule_is_named(broken: type[Scaled]) -> None:
    with pytest.raises(ContractError, match=BROKEN[broken]) as caught:
        check_quantizer(FixedOptions(make=broken))
    assert str(caught.value).startswith("quantizer 'made', built for shape (6, 16): ")


def test_another_module_is_refused() -> None:
    with pytest.raises(ContractError, match="gives a Identity, not a Quantizer"):
        check_quantizer(FixedOptions(make=nn.Identity))


def test_a_weights_only_quantizer_is_checked_on_weights() -> None:
    class WeightsOnly(Scaled):
        def forward(self, x: Tensor) -> Tensor:
            if x.ndim > 2:
                raise RuntimeError("a matrix is needed")
            return super().forward(x)

    class WeightOptions(FixedOptions):
        applies_to = "weights"

    check_quantizer(WeightOptions(make=WeightsOnly))
    with pytest.raises(RuntimeError, match="a matrix is needed"):
        check_quantizer(FixedOptions(make=WeightsOnly))


def test_refused_shapes_are_not_checked() -> None:
    class FixedShape(FixedOptions):
        def build(self, shape: torch.Size) -> Quantizer:
            if not shape:
                raise UserError("the last dimension must be fixed")
            return super().build(shape)

    check_quantizer(FixedShape())


class Halves(Quantizer):
    """Rounds to halves."""

    alphabet = Alphabet.unsigned(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).decode()

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=(2 * x).round().to(torch.int8), step=x.new_tensor(0.5), alphabet=self.alphabet)


def test_valid_codes_pass() -> None:
    check_codes(Halves(), torch.tensor([0.3, 7.5]), "halves")


@pytest.mark.parametrize("level", [-1, 16])
def test_levels_outside_the_alphabet_are_named(level: int) -> None:
    with pytest.raises(ContractError, match=rf"halves: levels \[.*{level}.*\] are not all in the declared Alphabet"):
        check_codes(Halves(), torch.tensor([0.5, level / 2]), "halves")


class WideHalves(Halves):
    alphabet = Alphabet.unsigned(9)

    def encode(self, x: Tensor) -> Codes:
        return Codes(levels=(2 * x).round().to(torch.int32), step=x.new_tensor(0.5), alphabet=self.alphabet)


def test_the_largest_of_many_levels_may_be_rounded_by_half_precision() -> None:
    check_codes(WideHalves(), torch.tensor([0.0, 256.0]), "halves")  # level 512 of 0 to 511
    with pytest.raises(ContractError, match="are not all in"):
        check_codes(WideHalves(), torch.tensor([0.0, 256.5]), "halves")


def test_samples_have_the_shapes_that_quantizers_are_built_for() -> None:
    assert {x.shape for x in matrices().values()} == {MATRIX}
    assert {x.shape[-1:] for x in states().values()} == {CHANNELS}
    assert all(x.sum(-1).le(1 + 1e-6).all() for x in probabilities().values())
    assert ORDINARY in matrices().keys() & states().keys() & probabilities().keys()


@pytest.mark.parametrize("shape", [(6, 16), (2, 5, 16), (2, 2, 5, 5)])
def test_balanced_values_have_means_of_exactly_zero(shape: tuple[int, ...]) -> None:
    x = balanced(torch.ones(shape))
    assert x.shape == shape
    assert (x.mean(-1) == 0).all()
    assert x.mean() == 0
    assert (x == 0).any()
    assert (x != 0).any()
