from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.layout import WeightTiles
from bebertlab.kernels.product import InputBlocks, PlaneLinear, pack_inputs
from tests.kernels.conftest import Levels

SIGNS, ZERO_ONE, TERNARY = Levels(-1, 2, 1), Levels(0, 1, 1), Levels(-1, 1, 2)
WEIGHTS = [SIGNS, ZERO_ONE, TERNARY, Levels(-3, 2, 2), Levels(-7, 1, 4), Levels(-128, 1, 8)]
INPUTS = [SIGNS, ZERO_ONE, TERNARY, Levels(-2, 4, 1), Levels(0, 1, 4), Levels(-128, 1, 8), Levels(0, 1, 8)]


def packed(levels: NDArray[np.int64], kind: Levels, kernels: Kernels) -> InputBlocks:
    of_bytes = levels.astype(np.int8) if kind.low < 0 else levels.astype(np.uint8)
    return pack_inputs(of_bytes, *kind, kernels)


@pytest.fixture(scope="module")
def case(products: Kernels) -> tuple[NDArray[np.int64], NDArray[np.int64], InputBlocks, PlaneLinear]:
    rng = np.random.default_rng(1)
    inputs, weights = Levels(0, 1, 4).random(rng, 37, 130), TERNARY.random(rng, 19, 130)
    step, bias = rng.random(19).astype(np.float32), rng.standard_normal(19).astype(np.float32)
    linear = PlaneLinear.of(WeightTiles.of_levels(weights, *TERNARY), step, bias, products)
    return inputs, weights, packed(inputs, Levels(0, 1, 4), products), linear


@given(
    tokens=st.integers(1, 40),
    rows=st.integers(1, 20),
    columns=st.integers(1, 200) | st.sampled_from([64, 1920, 2048]),
    kinds=st.tuples(st.sampled_from(INPUTS), st.sampled_from(WEIGHTS)),
    seed=st.integers(0, 9),
)
def test_counts_are_exact(
    products: Kernels, tokens: int, rows: int, columns: int, kinds: tuple[Levels, Levels], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    inputs, weights = kinds[0].random(rng, tokens, columns), kinds[1].random(rng, rows, columns)
    linear = PlaneLinear.of(WeightTiles.of_levels(weights, *kinds[1]), 1.0, kernels=products)
    np.testing.assert_array_equal(linear.counts(packed(inputs, kinds[0], products)), inputs @ weights.T)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("last", [False, True])
def test_extreme_levels(products: Kernels, kind: Levels, last: bool) -> None:
    level = kind.low + kind.spacing * (2**kind.bits - 1) * last
    inputs, weights = np.full((2, 3000), level), np.full((3, 3000), -128)
    linear = PlaneLinear.of(WeightTiles.of_levels(weights, *WEIGHTS[-1]), 1.0, kernels=products)
    assert (linear.counts(packed(inputs, kind, products)) == -128 * level * 3000).all()


def test_products_are_scaled_one_operation_after_the_other(
    case: tuple[NDArray[np.int64], NDArray[np.int64], InputBlocks, PlaneLinear],
) -> None:
    inputs, weights, blocks, linear = case
    step, bias = linear.constants["step"][:19], linear.constants["bias"][:19]
    count = (inputs @ weights.T).astype(np.float32)
    np.testing.assert_array_equal(linear(blocks, 0.3), count * (step * np.float32(0.3)) + bias)
    by_token = np.random.default_rng(2).random((37, 1)).astype(np.float32)
    scaled = count * (step * by_token)
    np.testing.assert_array_equal(linear(blocks, by_token), scaled + bias)
    shift = (by_token - 1) * (weights.sum(1).astype(np.float32) * step)
    np.testing.assert_array_equal(linear(blocks, by_token, by_token - 1), scaled + (bias + shift))


def test_branches_are_added_in_their_order(
    case: tuple[NDArray[np.int64], NDArray[np.int64], InputBlocks, PlaneLinear],
) -> None:
    _, _, blocks, linear = case
    first, second = linear(blocks, 0.3), linear(blocks, 0.7, 0.1)
    expected = first + second
    total = linear(blocks, 0.7, 0.1, total=first)
    assert total is first
    np.testing.assert_array_equal(total, expected)


def test_a_count_of_zero_keeps_the_sign_of_its_bias(products: Kernels) -> None:
    weights, inputs = np.array([[1, -1], [-1, 1]]), np.ones((1, 2), np.int64)
    bias = np.array([-0.0, 0.0], np.float32)
    linear = PlaneLinear.of(WeightTiles.of_levels(weights, *SIGNS), 1.0, bias, products)
    np.testing.assert_array_equal(np.signbit(linear(packed(inputs, SIGNS, products), 1.0)), [[False, False]])
    np.testing.assert_array_equal(np.signbit(linear(packed(inputs, SIGNS, products), -1.0)), [[True, False]])


def test_inputs_may_be_part_of_a_larger_array(products: Kernels) -> None:
    rng = np.random.default_rng(3)
    levels = rng.integers(0, 16, (60, 256), dtype=np.uint8)
    expected = pack_inputs(np.ascontiguousarray(levels[::3, 64:192]), 0, 1, 4, products)
    for view in (levels[::3, 64:192], np.asfortranarray(levels[::3, 64:192])):
        blocks = pack_inputs(view, 0, 1, 4, products)
        np.testing.assert_array_equal(blocks.words, expected.words)
        np.testing.assert_array_equal(blocks.index_sums.reshape(-1)[:20], levels[::3, 64:192].sum(1))


@pytest.mark.parametrize(("shape", "spacing", "bits"), [((2, 3), 1, 9), ((2, 3), 3, 2), ((0, 3), 1, 1), ((2, 3), 1, 0)])
def test_inputs_that_cannot_be_packed(shape: tuple[int, int], spacing: int, bits: int) -> None:
    with pytest.raises(ValueError, match="cannot pack"):
        pack_inputs(np.zeros(shape, np.uint8), 0, spacing, bits)


def test_shapes_must_fit(products: Kernels) -> None:
    linear = PlaneLinear.of(WeightTiles.of_levels(np.ones((4, 7), np.int64), *SIGNS), 1.0, kernels=products)
    with pytest.raises(ValueError, match="inputs have 8 columns, the weights have 7"):
        linear(packed(np.ones((2, 8), np.int64), SIGNS, products), 1.0)
    inputs = packed(np.ones((2, 7), np.int64), SIGNS, products)
    for total in (np.zeros((2, 4), np.float32), np.zeros((2, 9), np.float32)[:, 5:]):
        with pytest.raises(ValueError, match="total must be"):
            linear(inputs, 1.0, total=total)


def test_sums_beyond_32_bits_are_refused() -> None:
    weights = WeightTiles(np.zeros((1, 8, 2, 8), np.uint32), np.zeros(1, np.int64), 1, 70_000, -128, 1)
    inputs = InputBlocks(np.zeros((1, 8, 2, 16), np.uint32), np.zeros((1, 16), np.int32), 1, 70_000, 0, 1)
    with pytest.raises(ValueError, match="70000 columns"):
        PlaneLinear(weights, np.zeros(8), None).counts(inputs)  # type: ignore[arg-type]


def test_one_map_serves_several_threads(
    case: tuple[NDArray[np.int64], NDArray[np.int64], InputBlocks, PlaneLinear],
) -> None:
    _, _, blocks, linear = case
    expected = linear(blocks, 0.3)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: linear(blocks, 0.3), range(40)):
            np.testing.assert_array_equal(result, expected)
