from __future__ import annotations

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.inference.integers import FloatWeight, Int8Weight, IntegerWeight
from bebertlab.interfaces.quantizer import Alphabet, Codes, Quantizer
from bebertlab.kernels.rows import Extremes, RowKernels
from bebertlab.packed.level_values import InputQuantizer, Values
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform
from bebertlab_bit import Elastic

pytest.importorskip("llvmlite")

CHANNELS = torch.Size([300])
X = torch.randn(2, 3, 300, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def kernels() -> RowKernels:
    return RowKernels(300)


def trained(options: Uniform | Lsq | Elastic) -> Quantizer:
    quantizer = options.build(CHANNELS).train()
    quantizer(X)
    if (shift := getattr(quantizer, "shift", None)) is not None:
        with torch.no_grad():
            shift.copy_(torch.linspace(-1, 1, 300))
    return quantizer.eval()


def weight(kind: type[IntegerWeight]) -> IntegerWeight:
    levels = torch.randint(-1, 2, (256, 300), dtype=torch.int8, generator=torch.Generator().manual_seed(1))
    codes = Codes(levels=levels, step=torch.tensor(0.5), alphabet=Alphabet(-1, 1))
    built = Int8Weight.of(codes) if kind is Int8Weight else FloatWeight.of(codes, Alphabet.unsigned(16))
    assert built is not None
    return built


QUANTIZERS = [
    Uniform(),
    Uniform(symmetric=False, clip=1.0),
    Uniform(granularity="row"),
    Lsq(),
    Lsq(symmetric=False),
    Elastic(bits=4, shift=True),
    Elastic(bits=4, shift=True, signed=False),
    Elastic(shift=True),
]


@pytest.mark.parametrize("first_token", [False, True])
@pytest.mark.parametrize("kind", [Int8Weight, FloatWeight])
@pytest.mark.parametrize("options", QUANTIZERS)
def test_levels_are_those_of_the_quantizer(
    kernels: RowKernels, options: Uniform | Lsq | Elastic, kind: type[IntegerWeight], first_token: bool
) -> None:
    quantizer, multiplies = trained(options), weight(kind)
    with torch.no_grad():
        rows = Values(kernels, X).rows(InputQuantizer.of(quantizer), multiplies, first_token)
        expected = multiplies.input_of(quantizer.encode(X), first_token)
    assert rows.levels.dtype is expected.levels.dtype
    assert torch.equal(rows.levels, expected.levels)
    assert rows.zero == expected.zero
    assert (rows.scales[2] == 0) is (expected.offset is None)


@pytest.mark.parametrize("options", QUANTIZERS)
def test_codes_are_those_of_the_quantizer(kernels: RowKernels, options: Uniform | Lsq | Elastic) -> None:
    quantizer = trained(options)
    with torch.no_grad():
        codes, expected = Values(kernels, X).codes(InputQuantizer.of(quantizer)), quantizer.encode(X)
    assert codes.levels.dtype is expected.levels.dtype
    assert torch.equal(codes.levels, expected.levels)
    assert torch.equal(codes.decode(), expected.decode())


def test_equal_levels_are_computed_once(kernels: RowKernels) -> None:
    first, same, other = (InputQuantizer.of(trained(options)) for options in (Lsq(), Lsq(), Lsq(bits=5)))
    shifted, same_shift = (InputQuantizer.of(trained(Elastic(bits=4, shift=True))) for _ in range(2))
    values = Values(kernels, X)
    assert values.codes(first) is values.codes(same)
    assert values.codes(first) is not values.codes(other)
    assert values.codes(shifted) is values.codes(same_shift)
    assert values.codes(shifted) is not values.codes(first)
    levels = [values.rows(quantizer, weight(Int8Weight), False).levels for quantizer in (first, same, other)]
    assert levels[0] is levels[1]
    assert levels[0] is not levels[2]


def test_extremes_that_are_known_are_not_computed(kernels: RowKernels) -> None:
    known = Extremes(-9.0, 9.0)
    assert Values(kernels, X, None, known).extremes(None) == known
    assert Values(kernels, X).extremes(None) == Extremes(X.min().item(), X.max().item())


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_a_quantizer_encodes_what_is_not_finite(kernels: RowKernels, number: float) -> None:
    x: Tensor = X.clone()
    x[1, 2, 3] = number
    quantizer = trained(Lsq(symmetric=False))
    with torch.no_grad():
        codes, expected = Values(kernels, x).codes(InputQuantizer.of(quantizer)), quantizer.encode(x)
    assert torch.equal(codes.levels, expected.levels)


def test_there_is_no_grid_without_the_capability(kernels: RowKernels) -> None:
    quantizer = InputQuantizer.of(trained(Uniform()))
    assert quantizer.grid(None) is None
    assert evolve(quantizer, find_grid=None).grid(Extremes(0.0, 1.0)) is None
