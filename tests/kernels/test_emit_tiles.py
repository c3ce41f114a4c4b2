from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.emit_tiles import GROUP_OUTPUTS, PAIR_TOKENS, STEP_COLUMNS, TILE_PARAMETERS, workspace_bytes
from bebertlab.kernels.layout import aligned_zeros
from bebertlab.kernels.target import KernelTarget
from tests.kernels.conftest import KernelsOf

PAIRS, STEPS, GROUPS, PLANES = 2, 3, 2, 2
LOW, SPACING = -3, 2
COLUMNS, OUTPUTS, TOKENS = STEPS * STEP_COLUMNS, GROUPS * GROUP_OUTPUTS, PAIRS * PAIR_TOKENS
_BEYOND = 64  #: bytes behind the workspace


@pytest.fixture
def tiles(kernels_of: KernelsOf, target: KernelTarget) -> Kernels:
    if not target.amx:
        pytest.skip("no AMX")
    return kernels_of("tiles")


def test_bits_become_levels_and_are_multiplied(tiles: Kernels) -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (TOKENS, COLUMNS), dtype=np.uint8)
    masks = rng.integers(0, 2**64, (GROUPS, STEPS, PLANES, 2, 16), dtype=np.uint64)
    corrections = rng.integers(-9, 9, OUTPUTS, dtype=np.int32)
    # bit 4 i + j of row r of a half is that of output i and column 4 r + j
    bits = np.unpackbits(masks.view(np.uint8), axis=-1, bitorder="little").reshape(*masks.shape, 16, 4)
    indices = bits[:, :, 0].astype(np.int64) + 2 * bits[:, :, 1]
    weights = LOW + SPACING * indices.transpose(0, 2, 4, 1, 3, 5).reshape(OUTPUTS, COLUMNS)

    out = aligned_zeros((TOKENS, OUTPUTS + 16), np.float32)  # with columns that are left alone
    workspace = aligned_zeros((workspace_bytes(COLUMNS) + _BEYOND,), np.uint8)
    values = {
        "levels": levels.ctypes.data,
        "masks": masks.ctypes.data,
        "planes": PLANES,
        "low": LOW,
        "spacing": SPACING,
        "corrections": corrections.ctypes.data,
        "out": out.ctypes.data,
        "stride": out.strides[0],
        "pairs": PAIRS,
        "steps": STEPS,
        "groups": GROUPS,
        "workspace": workspace.ctypes.data,
    }
    tiles.call("multiply_tiles", *(values[name] for name in TILE_PARAMETERS))
    np.testing.assert_array_equal(out[:, :OUTPUTS], levels.astype(np.int64) @ weights.T + corrections)
    assert not out[:, OUTPUTS:].any()
    assert not workspace[-_BEYOND:].any()
