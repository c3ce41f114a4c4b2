from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from bebertlab.inference.modules import IntegerLinear
from bebertlab.interfaces.quantizer import TERNARY, Codes
from bebertlab.kernels.target import kernel_target
from bebertlab.packed.modules import LinearPart, PackedLinear, PackedMatrix
from bebertlab.packed.plane_linear import PlanesLinear
from bebertlab.packed.products import (
    MOST_SLOWDOWN,
    PACKED_PRODUCTS,
    TIMED_TOKENS,
    WITHOUT_KERNELS,
    choose_product,
    fastest,
)
from bebertlab.packed.weight import PackedWeight
from bebertlab_bibert import Sign

X = torch.randn(2, 5, 256, generator=torch.Generator().manual_seed(0))


def linear(*, quantizes: bool = True, rows: int = 256) -> PackedLinear:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(-1, 2, (rows, 256), generator=generator, dtype=torch.int8)
    codes = Codes(levels=levels, step=torch.rand(rows, 1, generator=generator), alphabet=TERNARY)
    quantizer = Sign().build(torch.Size([256])).eval() if quantizes else None
    part = LinearPart(matrix=PackedMatrix(PackedWeight.of(codes)), bias=torch.zeros(rows), quantizer=quantizer)
    return PackedLinear([part], exact=quantizes)


def test_without_generated_code_torch_multiplies() -> None:
    large, choice = choose_product(linear(), unpack=True, kernels=False)
    assert isinstance(large, IntegerLinear)
    assert choice.product in {"int8", "levels"}  # whether torch has exact int8 products
    assert choice.reason == WITHOUT_KERNELS
    assert choose_product(linear(rows=8), unpack=True, kernels=False)[1].product == "levels"
    assert choose_product(linear(quantizes=False), unpack=True, kernels=False)[1].product == "floats"
    packed = linear()
    assert choose_product(packed, unpack=False, kernels=False)[0] is packed


def test_what_planes_cannot_compute_torch_does() -> None:
    _, choice = choose_product(linear(quantizes=False), unpack=True, kernels=True)
    assert (choice.product, choice.reason) == ("floats", "no activations are quantized")
    assert choose_product(linear(quantizes=False), unpack=False, kernels=True)[1].product == "unpacked"


def test_weights_stay_packed_where_matrices_are_not_unpacked() -> None:
    pytest.importorskip("llvmlite")
    module, choice = choose_product(linear(), unpack=False, kernels=True)
    assert choice.product in PACKED_PRODUCTS
    assert torch.equal(module(X), linear()(X))


def test_the_fastest_product_is_chosen() -> None:
    pytest.importorskip("llvmlite")
    module, choice = choose_product(linear(), unpack=True, kernels=True)
    measured = choice.reason.removesuffix(f" for {TIMED_TOKENS} tokens").split(", ")
    milliseconds = {name: float(number) for name, number, _ in map(str.split, measured)}
    assert {"planes", choice.product} <= milliseconds.keys()
    assert isinstance(module, PlanesLinear) == (choice.product == "planes")
    # weights that stay packed may take a little longer
    slowdown = MOST_SLOWDOWN if choice.product in PACKED_PRODUCTS else 1
    assert milliseconds[choice.product] <= slowdown * min(milliseconds.values()) * (1 + 1e-2)  # printed rounded
    assert torch.equal(module(X), linear()(X))
    again = choose_product(linear(), unpack=True, kernels=True)[1]
    assert again == choice  # measured once


def test_tiles_are_a_product_of_this_cpu() -> None:
    pytest.importorskip("llvmlite")
    reason = choose_product(linear(), unpack=True, kernels=True)[1].reason
    assert ("tiles" in reason) == kernel_target().amx


class Sleeps(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.calls = seconds, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        time.sleep(self.seconds)
        return x


def test_modules_are_timed_in_turn() -> None:
    modules = [Sleeps(0.004), Sleeps(0.0)]
    slow, fast = fastest(modules, X, seconds=0.0)
    assert slow >= 0.004 > fast
    assert [module.calls for module in modules] == [3, 3]
    fastest(modules, X, seconds=0.03)
    assert 3 + 3 < modules[0].calls == modules[1].calls
