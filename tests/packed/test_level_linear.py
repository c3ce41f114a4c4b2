from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from bebertlab.inference.modules import IntegerLinear
from bebertlab.interfaces.quantizer import SIGNS, Codes, Quantizer
from bebertlab.kernels.rows import RowKernels
from bebertlab.packed.level_linear import LevelLinears, LinearOutputs, always_equal
from bebertlab.packed.level_values import Values
from bebertlab.packed.modules import LinearPart, PackedLinear, PackedMatrix
from bebertlab.packed.plane_linear import PlanesLinear
from bebertlab.packed.weight import PackedWeight
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform

pytest.importorskip("llvmlite")

INPUTS, OUTPUTS = 300, 256
X = torch.randn(2, 3, INPUTS, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def kernels() -> RowKernels:
    return RowKernels(INPUTS)


def trained(scale: float = 1.0, options: Lsq | Uniform | None = None) -> Quantizer:
    quantizer = (options or Lsq(symmetric=False)).build(torch.Size([INPUTS])).train()
    quantizer(X * scale)
    return quantizer.eval()


def packed(quantizers: Sequence[Quantizer], seed: int) -> PackedLinear:
    """A linear map with a branch for each quantizer."""
    generator, parts = torch.Generator().manual_seed(seed), []
    for quantizer in quantizers:
        levels = 2 * torch.randint(0, 2, (OUTPUTS, INPUTS), generator=generator).to(torch.int8) - 1
        codes = Codes(levels=levels, step=torch.rand((), generator=generator), alphabet=SIGNS)
        matrix, bias = PackedMatrix(PackedWeight.of(codes)), torch.randn(OUTPUTS, generator=generator)
        parts.append(LinearPart(matrix=matrix, bias=bias, quantizer=quantizer))
    return PackedLinear(parts, exact=True)


def finished(kernels: RowKernels, outputs: LinearOutputs, rows: int) -> Tensor:
    out = torch.empty(rows, OUTPUTS) if outputs.memory is None else outputs.memory
    kernels.finish_products(outputs.branches, out.data_ptr(), rows, OUTPUTS, kernels.no_shifts)
    return out


@pytest.mark.parametrize("first_token", [False, True])
@pytest.mark.parametrize(
    ("scales", "products"), [([[1.0]], 1), ([[1.0, 1.0]], 1), ([[1.0, 2.0]], 2), ([[1.0, 2.0], [2.0], [3.0, 1.0]], 3)]
)
def test_maps_are_joined_where_their_inputs_are_quantized_equally(
    kernels: RowKernels, scales: list[list[float]], products: int, first_token: bool
) -> None:
    maps = [packed([trained(scale) for scale in of_map], seed) for seed, of_map in enumerate(scales)]
    unpacked: list[nn.Module] = [each.unpack() for each in maps]
    joined = LevelLinears(unpacked, dict(zip(unpacked, maps, strict=True)))
    assert len(joined._products) == products
    assert joined.replaced == unpacked
    rows = 2 if first_token else 6
    with torch.no_grad():
        results = joined(Values(kernels, X), first_token)
        for outputs, linear in zip(results, unpacked, strict=True):
            expected = linear(X, first_token).flatten(0, 1)
            assert torch.equal(finished(kernels, outputs, rows), expected)


@pytest.mark.parametrize("first_token", [False, True])
def test_other_maps_compute_their_results(kernels: RowKernels, first_token: bool) -> None:
    linear = packed([trained(), trained(2.0)], 0)
    planes, plain = PlanesLinear(linear.parts()), linear.unpack()
    assert isinstance(plain, IntegerLinear)
    others = LevelLinears([planes, linear], {})
    assert others.replaced == []
    with torch.no_grad():
        expected = plain(X, first_token).flatten(0, 1)
        for outputs in others(Values(kernels, X), first_token):
            assert not outputs.branches
            assert outputs.memory is not None
            assert torch.equal(outputs.memory, expected)


def test_a_step_for_each_row(kernels: RowKernels) -> None:
    linear = packed([trained(options=Uniform(granularity="row", symmetric=False))], 0)
    unpacked = linear.unpack()
    with torch.no_grad():
        (outputs,) = LevelLinears([unpacked], {unpacked: linear})(Values(kernels, X))
        assert torch.equal(finished(kernels, outputs, 6), unpacked(X).flatten(0, 1))


def test_quantizers_are_equal_by_their_options_and_tensors() -> None:
    assert always_equal(trained(), trained())
    assert not always_equal(trained(), trained(2.0))
    assert not always_equal(trained(), trained(options=Lsq()))
    assert not always_equal(trained(options=Uniform()), trained(options=Uniform(bits=4)))
    assert not always_equal(trained(), trained(options=Uniform()))
