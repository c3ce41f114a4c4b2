from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab_binarybert.grid import Grid, find_grid, find_level_grid, gradients

CLIP = torch.tensor([-1.0, 2.0])


def both(x: Tensor, symmetric: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[Grid, Grid]:
    """The grid in plain numbers, and in tensors as a compiler or a GPU has it."""
    plain = find_grid(x, CLIP, bits=4, symmetric=symmetric, rows=False)
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        return plain, find_grid(x, CLIP, bits=4, symmetric=symmetric, rows=False)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("scale", [0.3, 3.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_computes_its_levels_from_scalars(
    dtype: torch.dtype, symmetric: bool, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (scale * torch.randn(4, 7, generator=torch.Generator().manual_seed(0))).to(dtype)
    before = x.clone()
    plain, tensors = both(x, symmetric, monkeypatch)
    assert not torch.is_tensor(plain.size)
    assert torch.equal(plain.levels(x), plain.levels(x.float()).to(dtype))
    assert torch.equal(plain.values(x), tensors.values(x))
    assert plain.values(x).dtype == plain.levels(x).dtype == dtype
    assert torch.equal(x, before)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_scalars_and_tensors_give_the_same(symmetric: bool, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = scale * torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    x[0, :2] = CLIP  # the ends belong to the clips
    upstream = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    plain, tensors = both(x, symmetric, monkeypatch)
    assert torch.is_tensor(tensors.size)
    assert not torch.is_tensor(plain.size)
    assert torch.equal(plain.levels(x), tensors.levels(x))
    assert torch.equal(plain.values(x), tensors.values(x))
    assert not plain.values(-0.01 * x.abs()).signbit().logical_and(plain.values(-0.01 * x.abs()) == 0).any()
    assert plain.step(x.dtype) == pytest.approx(float(tensors.step(x.dtype)), rel=1e-6)
    actual = gradients(upstream, x, plain.low, plain.high)
    for item, other in zip(actual, gradients(upstream, x, tensors.low, tensors.high), strict=True):
        assert torch.allclose(item, other, atol=1e-6)


def test_unclipped_inputs_are_detected_on_the_cpu_without_false_positives() -> None:
    for x, inside in (([-0.9, 1.9], True), ([-1.0, 0.0], False), ([0.0, 2.0], False), ([0.0, 2.1], False)):
        assert find_grid(torch.tensor(x), CLIP, bits=4, symmetric=True, rows=False).inside is inside


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=12), st.booleans())
def test_a_value_moves_by_at_most_half_a_step(values: list[float], symmetric: bool) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    grid = find_grid(x, CLIP, bits=4, symmetric=symmetric, rows=False)
    y = grid.levels(x) * grid.step(x.dtype) + grid.base(x.dtype)
    moved = (y - x.clamp(-1.0, 2.0)).abs().max()
    assert moved <= grid.step(x.dtype) / 2 + 1e-7


def test_nan_is_preserved() -> None:
    x = torch.tensor([0.1, float("nan")])
    grid = find_grid(x, CLIP, bits=4, symmetric=True, rows=False)
    assert grid.levels(x).isnan().any()


def test_the_grid_of_extremes_is_that_of_the_tensor() -> None:
    x, clip = torch.tensor([-0.5, 0.25, 3.0]), torch.tensor([-2.5, 2.5])
    for symmetric in (True, False):
        expected = find_grid(x, clip, 4, symmetric, rows=False)
        grid = find_level_grid((-0.5, 3.0), clip.tolist(), 4, symmetric, published=False)
        assert grid is not None
        assert (grid.step, grid.offset) == (expected.step(torch.float32), expected.offset)
        assert grid.factor == expected.highest / expected.size
