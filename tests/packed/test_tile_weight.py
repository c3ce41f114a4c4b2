from __future__ import annotations

import pytest
import torch

from bebertlab.inference.integers import FloatWeight
from bebertlab.interfaces.quantizer import SIGNS, TERNARY, Alphabet, Codes
from bebertlab.kernels.target import kernel_target
from bebertlab.packed.modules import PackedMatrix
from bebertlab.packed.tile_weight import TileWeight, tile_weight_problem
from bebertlab.packed.weight import PackedWeight

SIGNED_BYTES = Alphabet(-128, 127)


@pytest.fixture(autouse=True)
def _needs_amx() -> None:
    pytest.importorskip("llvmlite")
    if not kernel_target().amx:
        pytest.skip("no AMX")


def codes_of(rows: int, *, by_row: bool = True, columns: int = 90) -> Codes:
    generator = torch.Generator().manual_seed(rows)
    levels = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
    step = torch.rand((rows, 1) if by_row else (), generator=generator)
    return Codes(levels=levels, step=step, alphabet=TERNARY)


def matrix_of(codes: Codes) -> PackedMatrix:
    return PackedMatrix(PackedWeight.of(codes))


def inputs_of(dtype: torch.dtype, columns: int = 90) -> Codes:
    limits = torch.iinfo(dtype)
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(limits.min, limits.max + 1, (2, 3, columns), generator=generator, dtype=dtype)
    alphabet = Alphabet(limits.min, limits.max)
    return Codes(levels=levels, step=torch.tensor(0.3), offset=torch.tensor(-0.7), alphabet=alphabet)


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8])
def test_products_have_the_bits_of_those_of_floats(dtype: torch.dtype, by_row: bool) -> None:
    codes, inputs = codes_of(70, by_row=by_row), inputs_of(dtype)
    bias = torch.linspace(-1, 1, 70)
    tiles, floats = TileWeight.of(matrix_of(codes)), FloatWeight.of(codes, inputs.alphabet)
    assert floats is not None
    result = tiles.linear(tiles.input_of(inputs), bias)
    assert torch.equal(result, floats.linear(floats.input_of(inputs), bias))
    assert result.is_contiguous()


def test_weights_are_joined() -> None:
    weights = [TileWeight.of(matrix_of(codes_of(rows))) for rows in (32, 64)]
    assert weights[0].kind == weights[1].kind
    levels, zero = weights[0].convert(inputs_of(torch.int8).levels.flatten(0, 1))
    joined = TileWeight.joined(weights)
    assert torch.equal(joined.count(levels, zero), torch.cat([weight.count(levels, zero) for weight in weights], 1))
    assert torch.equal(joined.scales, torch.cat([weight.scales for weight in weights]))
    assert torch.equal(joined.sums, torch.cat([weight.sums for weight in weights]))


def test_weights_that_cannot_be_joined() -> None:
    first = TileWeight.of(matrix_of(codes_of(32)))
    for other in (codes_of(32, columns=89), codes_of(33)):
        assert TileWeight.of(matrix_of(other)).kind != first.kind
    partial = [TileWeight.of(matrix_of(codes_of(33))) for _ in range(2)]
    assert partial[0].kind != partial[1].kind  # their last groups have padding


def test_what_does_not_stay_packed() -> None:
    matrix = matrix_of(codes_of(32))
    assert not tile_weight_problem(matrix, SIGNS)
    assert not tile_weight_problem(matrix, SIGNED_BYTES)
    assert "levels of inputs" in tile_weight_problem(matrix, Alphabet(0, 256))
