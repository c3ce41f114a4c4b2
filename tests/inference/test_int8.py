from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.inference import int8 as module
from bebertlab.inference.int8 import Int8Input, Int8Weight, exact_products
from bebertlab.interfaces.quantizer import Alphabet, Codes

OUTPUTS, INPUTS = 192, 384  # just enough for packing to pay

pytestmark = pytest.mark.skipif(not exact_products(), reason="torch has no exact products of bytes on this processor")


def matrix(*, rows: bool = False, highest: int = 1, seed: int = 0) -> Codes:
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randint(-highest, highest + 1, (OUTPUTS, INPUTS), generator=generator).to(torch.int8)
    step = torch.rand((OUTPUTS, 1) if rows else (), generator=generator)
    return Codes(levels=levels, step=step, alphabet=Alphabet.signed(8))


def activations(shape: tuple[int, ...], low: int, high: int, dtype: torch.dtype, *, rows: bool, offset: bool) -> Codes:
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(low, high + 1, (*shape, INPUTS), generator=generator).to(dtype)
    size = (*shape, 1) if rows else ()
    return Codes(
        levels=levels,
        step=torch.rand(size, generator=generator),
        offset=torch.randn(size, generator=generator) if offset else None,
        alphabet=Alphabet.signed(8),
    )


def double(codes: Codes) -> Tensor:
    values = codes.levels.double() * codes.step.double()
    return values if codes.offset is None else values + codes.offset.double()


def packed(codes: Codes) -> Int8Weight:
    weight = Int8Weight.of(codes)
    assert weight is not None
    return weight


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    shape=st.sampled_from([(1,), (5,), (2, 3)]),
    levels=st.sampled_from(
        [(-128, 127, torch.int8), (0, 255, torch.uint8), (3, 258, torch.int32), (0, 1, torch.int64)]
    ),
    rows=st.booleans(),
    offset=st.booleans(),
    weight_rows=st.booleans(),
    highest=st.sampled_from([1, 7, 64]),
)
def test_products_are_those_of_real_numbers_to_the_last_digits(
    shape: tuple[int, ...],
    levels: tuple[int, int, torch.dtype],
    rows: bool,
    offset: bool,
    weight_rows: bool,
    highest: int,
) -> None:
    weight, x = matrix(rows=weight_rows, highest=highest), activations(shape, *levels, rows=rows, offset=offset)
    bias = torch.linspace(-1, 1, OUTPUTS)
    expected = double(x).flatten(0, -2) @ double(weight).t() + bias
    one, inputs = packed(weight), Int8Input.of(x)
    once = one.linear(inputs, bias)
    torch.testing.assert_close(once.double(), expected, rtol=0, atol=4e-7 * float(expected.abs().max()))
    twice = one.linear(inputs, bias, once)
    assert twice.data_ptr() == once.data_ptr()  # the total is added to in its memory
    torch.testing.assert_close(twice.double(), 2 * expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(("low", "dtype"), [(-128, torch.int8), (0, torch.uint8), (-100, torch.int32)])
def test_the_first_tokens_alone(rows: bool, low: int, dtype: torch.dtype) -> None:
    x = activations((4, 3), low, low + 255, dtype, rows=rows, offset=True)
    weight, bias = packed(matrix()), torch.zeros(OUTPUTS)
    every = weight.linear(Int8Input.of(x), bias).view(4, 3, OUTPUTS)
    torch.testing.assert_close(weight.linear(Int8Input.of(x, True), bias), every[:, 0])


def test_numbers_of_the_tensor_may_have_any_shape() -> None:
    x = activations((2, 3), 0, 255, torch.uint8, rows=False, offset=True)
    assert x.offset is not None
    shaped = evolve(x, step=x.step.view(1, 1, 1), offset=x.offset.view(1, 1, 1))
    weight, bias = packed(matrix()), torch.zeros(OUTPUTS)
    expected = weight.linear(Int8Input.of(x), bias)
    assert torch.equal(weight.linear(Int8Input.of(shaped), bias), expected)
    assert torch.equal(weight.linear(Int8Input.of(shaped), bias, torch.zeros_like(expected)), expected)


def test_sums_of_whole_numbers_are_exact() -> None:
    weight, x = matrix(highest=64), activations((7,), 0, 255, torch.uint8, rows=False, offset=False)
    weight, x = evolve(weight, step=torch.ones(())), evolve(x, step=torch.ones(()))
    found = packed(weight).linear(Int8Input.of(x), torch.zeros(OUTPUTS))
    assert torch.equal(found.long(), x.levels.long() @ weight.levels.long().t())


@pytest.mark.parametrize(
    "unfit",
    [
        evolve(matrix(), offset=torch.zeros(())),
        evolve(matrix(), step=torch.ones(INPUTS)),
        evolve(matrix(), step=torch.ones((), dtype=torch.float64)),
        matrix(highest=65),
        evolve(matrix(), levels=torch.full((OUTPUTS, INPUTS), -128, dtype=torch.int8)),
        evolve(matrix(), levels=torch.ones(OUTPUTS, INPUTS // 2, dtype=torch.int8)),
    ],
    ids=["offset", "scales of columns", "double precision", "many levels", "a low level", "small"],
)
def test_other_weights_are_not_packed(unfit: Codes) -> None:
    assert Int8Weight.of(unfit) is None


def test_nothing_is_packed_where_products_are_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exact_products", lambda: False)
    assert Int8Weight.of(matrix()) is None


class Torch:
    """torch with other kernels in place of oneDNN's."""

    def __init__(self, kernels: Kernels) -> None:
        self.ops = SimpleNamespace(onednn=kernels)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        return getattr(torch, name)


class Kernels:
    """oneDNN's, or none; products may be off by one."""

    def __init__(self, *, missing: bool) -> None:
        self.missing = missing

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self.missing:
            raise AttributeError(name)
        kernel = getattr(torch.ops.onednn, name)
        return kernel if name == "qlinear_prepack" else lambda *given: kernel(*given) + 1


@pytest.mark.parametrize("missing", [True, False])
def test_a_torch_without_such_products_or_with_inexact_ones_is_found_out(
    missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "torch", Torch(Kernels(missing=missing)))
    assert not exact_products.__wrapped__()
