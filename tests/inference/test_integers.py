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

from bebertlab.inference import integers as module
from bebertlab.inference.integers import FloatWeight, Int8Weight, exact_products, integer_weights
from bebertlab.interfaces.quantizer import Alphabet, Codes

OUTPUTS, INPUTS = 192, 384  # just enough for int8 to be faster

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
def test_products_match_floats_to_the_last_digits(
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
    multiplied = packed(weight)
    inputs = multiplied.input_of(x)
    once = multiplied.linear(inputs, bias)
    torch.testing.assert_close(once.double(), expected, rtol=0, atol=4e-7 * float(expected.abs().max()))
    twice = multiplied.linear(inputs, bias, once)
    assert twice.data_ptr() == once.data_ptr()  # the total is added to in its memory
    torch.testing.assert_close(twice.double(), 2 * expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(("low", "dtype"), [(-128, torch.int8), (0, torch.uint8), (-100, torch.int32)])
def test_the_first_tokens_alone_match_the_full_product(rows: bool, low: int, dtype: torch.dtype) -> None:
    x = activations((4, 3), low, low + 255, dtype, rows=rows, offset=True)
    weight, bias = packed(matrix()), torch.zeros(OUTPUTS)
    every = weight.linear(weight.input_of(x), bias).view(4, 3, OUTPUTS)
    torch.testing.assert_close(weight.linear(weight.input_of(x, True), bias), every[:, 0])


def test_scalars_may_be_tensors_of_any_shape() -> None:
    x = activations((2, 3), 0, 255, torch.uint8, rows=False, offset=True)
    assert x.offset is not None
    shaped = evolve(x, step=x.step.view(1, 1, 1), offset=x.offset.view(1, 1, 1))
    weight, bias = packed(matrix()), torch.zeros(OUTPUTS)
    expected = weight.linear(weight.input_of(x), bias)
    assert torch.equal(weight.linear(weight.input_of(shaped), bias), expected)
    assert torch.equal(weight.linear(weight.input_of(shaped), bias, torch.zeros_like(expected)), expected)


def test_integer_sums_are_exact() -> None:
    weight, x = matrix(highest=64), activations((7,), 0, 255, torch.uint8, rows=False, offset=False)
    inputs = packed(weight).input_of(x)
    counts = packed(weight).count(inputs.levels, inputs.zero)
    assert torch.equal(counts.long(), x.levels.long() @ weight.levels.long().t())


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
def test_ineligible_weights_are_not_packed(unfit: Codes) -> None:
    assert Int8Weight.of(unfit) is None


@pytest.mark.parametrize("rows", [1, 2, 7, 33])
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("by_token", [False, True])
def test_int8_and_float_products_are_equal_to_the_last_bit(rows: int, offset: bool, by_token: bool) -> None:
    weight = matrix(rows=True, highest=64)
    x = activations((rows,), 0, 255, torch.uint8, rows=by_token, offset=offset)
    floats, bias = FloatWeight.of(weight, Alphabet.unsigned(8)), torch.linspace(-1, 1, OUTPUTS)
    assert floats is not None
    results = [w.linear(w.input_of(x), bias, torch.ones(rows, OUTPUTS)) for w in (floats, packed(weight))]
    assert torch.equal(*results)
    assert torch.equal(floats.linear(floats.input_of(first_row(x)), bias, torch.ones(1, OUTPUTS)), results[0][:1])


def first_row(codes: Codes) -> Codes:
    step, offset = (scale if scale is None or not scale.ndim else scale[:1] for scale in (codes.step, codes.offset))
    assert step is not None
    return evolve(codes, levels=codes.levels[:1], step=step, offset=offset)


@pytest.mark.parametrize(("bits", "dtype"), [(8, torch.float32), (9, torch.float64), (16, torch.float64)])
def test_sums_of_wide_levels_are_exact(bits: int, dtype: torch.dtype) -> None:
    alphabet = Alphabet.unsigned(bits)
    weight = FloatWeight.of(matrix(highest=1), alphabet)
    assert weight is not None
    assert weight.transposed.dtype == dtype
    x = activations((3,), alphabet.high - 1, alphabet.high, torch.int32, rows=False, offset=False)
    expected = x.levels.long() @ matrix(highest=1).levels.long().t()
    inputs = weight.input_of(x)
    assert torch.equal(weight.count(inputs.levels, inputs.zero), expected.float())


def test_the_kind_of_product_follows_from_the_bits() -> None:
    def kinds(codes: list[Codes], bits: int) -> list[type]:
        weights = integer_weights(codes, [Alphabet.unsigned(bits)] * len(codes))
        assert weights is not None
        return [type(weight) for weight in weights]

    assert kinds([matrix()], 8) == [Int8Weight]
    assert kinds([matrix()], 9) == [FloatWeight]
    assert kinds([matrix(highest=65)], 8) == [FloatWeight]
    assert kinds([matrix(), matrix(highest=65)], 8) == [FloatWeight, FloatWeight]
    assert integer_weights([evolve(matrix(), offset=torch.zeros(()))], [Alphabet.unsigned(8)]) is None


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
def test_missing_and_inexact_int8_products_of_torch_are_detected(
    missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "torch", Torch(Kernels(missing=missing)))
    assert not exact_products.__wrapped__()


@pytest.mark.parametrize("highest", [1, 64])
def test_rows_of_several_weights_are_joined(highest: int) -> None:
    codes = [matrix(highest=highest), matrix(highest=1)]
    x = activations((7,), 0, 255, torch.uint8, rows=False, offset=False)
    int8, floats = [packed(each) for each in codes], [FloatWeight.of(each, Alphabet.unsigned(8)) for each in codes]
    kept = [weight for weight in floats if weight is not None]
    for weights, joined in (
        (int8, Int8Weight.joined(int8, [each.levels for each in codes])),
        (kept, FloatWeight.joined([evolve(weight, transposed=weight.transposed.double()) for weight in kept])),
    ):
        inputs = joined.input_of(x)
        expected = [weight.count(*weight.convert(x.levels)) for weight in weights]
        assert torch.equal(joined.count(inputs.levels, inputs.zero), torch.cat(expected, 1))
        assert torch.equal(joined.scales, torch.cat([weight.scales for weight in weights]))
        assert torch.equal(joined.sums, torch.cat([weight.sums for weight in weights]))
