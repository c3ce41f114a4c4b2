from __future__ import annotations

import math

import numpy as np
import pytest

from bebertlab.kernels.rows import Extremes, Layout, RowKernels


@pytest.mark.parametrize("tokens", [1, 19])
def test_scores_are_scaled_twice_and_masked(rows: RowKernels, tokens: int) -> None:
    batch, heads, scale, root = 2, 3, 0.37, 1 / math.sqrt(9)
    scores = np.random.default_rng(1).integers(-99, 99, (batch, heads, tokens, tokens)).astype(np.float32)
    mask = np.where(np.arange(tokens) < 5, 0, -10_000).astype(np.float32)[None].repeat(batch, 0)
    mask[1] = 0
    expected = scores * np.float32(scale) * np.float32(root) + mask[:, None, None]
    rows.scale_scores(scores.ctypes.data, mask.ctypes.data, scale, root, batch, heads * tokens, tokens)
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("factor", [None, 0.013])
@pytest.mark.parametrize("size", [3, 16, 33])
def test_contexts_are_scaled_and_heads_joined(rows: RowKernels, size: int, factor: float | None) -> None:
    layout = Layout(batch=2, tokens=5, heads=1 if size == 33 else 2, size=size)
    generator, shape = np.random.default_rng(size), (layout.batch, layout.heads, layout.tokens, layout.size)
    sums, values = (generator.integers(-99, 99, shape).astype(np.float32) for _ in range(2))
    shifts = np.linspace(-9, 9, layout.heads * size, dtype=np.float32)
    expected = sums * np.float32(0.21)
    if factor is not None:
        expected = expected + np.float32(factor) * values.sum(2, keepdims=True)
    expected = expected.transpose(0, 2, 1, 3).reshape(layout.batch * layout.tokens, -1)
    out = np.empty_like(expected)
    extremes = rows.finish_context(
        sums.ctypes.data, values.ctypes.data, 0.21, factor, out.ctypes.data, layout, shifts.ctypes.data
    )
    np.testing.assert_array_equal(out, expected)
    assert extremes == Extremes((expected + shifts).min(), (expected + shifts).max())
