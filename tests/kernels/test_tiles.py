from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.layout import pack_planes
from bebertlab.kernels.target import KernelTarget
from bebertlab.kernels.tiles import TileWeights, tile_problem
from tests.kernels.conftest import KernelsOf, Levels

SIGNS, TERNARY = Levels(-1, 2, 1), Levels(-1, 1, 2)
WEIGHTS = [SIGNS, Levels(0, 1, 1), TERNARY, Levels(-3, 2, 2), Levels(-7, 1, 4), Levels(-128, 1, 8)]
AMX = KernelTarget("sapphirerapids", "", native_popcount=True, tile_rows=8, amx=True)


@pytest.fixture(scope="module")
def tiles(kernels_of: KernelsOf, target: KernelTarget) -> Kernels:
    if not target.amx:
        pytest.skip("no AMX")
    return kernels_of("tiles")


def weights_of(levels: NDArray[np.int64], kind: Levels, kernels: Kernels) -> TileWeights:
    return TileWeights.of_planes(pack_planes(levels, *kind), levels.shape[1], kind.low, kind.spacing, kernels)


@given(
    tokens=st.integers(1, 70),
    outputs=st.integers(1, 70),
    columns=st.integers(1, 200) | st.sampled_from([64, 1024]),
    kind=st.sampled_from(WEIGHTS),
    zero=st.sampled_from([0, 7, 128]),
    seed=st.integers(0, 9),
)
def test_sums_are_exact(
    tiles: Kernels, tokens: int, outputs: int, columns: int, kind: Levels, zero: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights, inputs = kind.random(rng, outputs, columns), rng.integers(0, 256, (tokens, columns), dtype=np.uint8)
    expected = ((inputs.astype(np.int64) - zero) @ weights.T).astype(np.float32)
    np.testing.assert_array_equal(weights_of(weights, kind, tiles)(inputs, zero), expected)


def test_largest_sums_are_rounded_once(tiles: Kernels) -> None:
    weights = np.full((32, 640), -128)
    sums = weights_of(weights, Levels(-128, 1, 8), tiles)(np.full((1, 640), 255, np.uint8), 0)
    np.testing.assert_array_equal(sums, np.float32(-128 * 255 * 640))


def test_rows_that_are_not_contiguous(tiles: Kernels) -> None:
    rng = np.random.default_rng(0)
    weights, inputs = SIGNS.random(rng, 32, 64), rng.integers(0, 256, (64, 128), dtype=np.uint8)[:32, ::2]
    np.testing.assert_array_equal(weights_of(weights, SIGNS, tiles)(inputs, 0), inputs.astype(np.int64) @ weights.T)


def test_matrices_are_joined(tiles: Kernels) -> None:
    rng = np.random.default_rng(0)
    first, second = TERNARY.random(rng, 32, 100), TERNARY.random(rng, 64, 100)
    inputs = rng.integers(0, 256, (3, 100), dtype=np.uint8)
    joined = TileWeights.joined([weights_of(first, TERNARY, tiles), weights_of(second, TERNARY, tiles)])
    expected = (inputs.astype(np.int64) - 5) @ np.concatenate([first, second]).T
    np.testing.assert_array_equal(joined(inputs, 5), expected)
    for rows, columns, kind in ((32, 99, TERNARY), (33, 100, TERNARY), (32, 100, SIGNS)):
        other = weights_of(kind.random(rng, rows, columns), kind, tiles)
        with pytest.raises(ValueError, match="equal columns and alphabets"):
            TileWeights.joined([weights_of(first, TERNARY, tiles), other])


def test_threads_do_not_disturb_each_other(tiles: Kernels) -> None:
    rng = np.random.default_rng(0)
    weights = deepcopy(weights_of(SIGNS.random(rng, 96, 300), SIGNS, tiles))
    inputs = [rng.integers(0, 256, (40, 300), dtype=np.uint8) for _ in range(8)]
    alone = [weights(levels, 0) for levels in inputs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda levels: weights(levels, 0), inputs * 5))
    np.testing.assert_array_equal(together, alone * 5)


@pytest.mark.parametrize("inputs", [np.zeros((2, 63), np.uint8), np.zeros((2, 64), np.int8)])
def test_inputs_that_do_not_fit(tiles: Kernels, inputs: NDArray[np.uint8]) -> None:
    weights = weights_of(np.ones((4, 64), np.int64), SIGNS, tiles)
    with pytest.raises(ValueError, match=r"levels must be uint8 \(N, 64\)"):
        weights(inputs, 0)


def test_what_cannot_be_multiplied() -> None:
    assert not tile_problem(768, -1, 2, 1, AMX)
    assert not tile_problem(768, -128, 1, 8, AMX)
    assert "levels of weights take more than a byte" in tile_problem(768, 0, 1, 8, AMX)
    assert "more than 32 bits" in tile_problem(66_052, -128, 1, 8, AMX)
    without = KernelTarget("haswell", "", native_popcount=False, tile_rows=4)
    assert "no AMX" in tile_problem(768, -1, 2, 1, without)


def test_matrices_that_cannot_be_multiplied_are_refused(tiles: Kernels) -> None:
    with pytest.raises(ValueError, match="levels of weights take more than a byte"):
        weights_of(np.zeros((4, 64), np.int64), Levels(0, 1, 8), tiles)
