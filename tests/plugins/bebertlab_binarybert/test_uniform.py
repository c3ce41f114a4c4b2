from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from bebertlab.model.primitives import Granularity
from bebertlab.testing import check_quantizer
from bebertlab_binarybert import Uniform
from bebertlab_binarybert.lsq import Lsq


@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_keeps_the_quantizer_contract(granularity: Granularity, symmetric: bool, bits: int) -> None:
    check_quantizer(Uniform(bits=bits, symmetric=symmetric, granularity=granularity))
    check_quantizer(Uniform(bits=bits, symmetric=symmetric, granularity=granularity, learnable=False))


def test_one_bit_has_two_levels_that_may_exclude_zero() -> None:
    check_quantizer(Uniform(bits=1, symmetric=False))
    x = torch.tensor([-1.0, -0.4, 0.2, 3.0])
    y = Uniform(bits=1, symmetric=False, clip=2.0).build(x.shape)(x)
    assert y.tolist() == pytest.approx([-1.0, -1.0, -1.0, 2.0])
    with pytest.raises(ValueError, match="'bits' must be at least 2 if levels are symmetric: 1"):
        Uniform(bits=1)


def test_levels_span_the_clipped_range() -> None:
    x = torch.tensor([-4.0, -0.6, 0.0, 1.0])
    symmetric, asymmetric = Uniform(bits=2, clip=2.0), Uniform(bits=2, symmetric=False, clip=2.0)
    assert symmetric.build(x.shape)(x).tolist() == [-2.0, 0.0, 0.0, 0.0]
    assert asymmetric.build(x.shape)(x).tolist() == pytest.approx([-2.0, -1.0, 0.0, 1.0])


def test_a_head_is_the_row_of_granularity() -> None:
    x = torch.stack([torch.full((3, 2), 0.5), torch.full((3, 2), 2.0)])[None]
    x[:, :, 0, 0] *= 0.4
    codes = Uniform(bits=3, granularity="row").build(torch.Size([2])).encode(x)
    assert codes.step.shape == (1, 2, 1, 1)
    assert codes.levels[0, :, 0, 0].tolist() == [1, 1]


def gradients(symmetric: bool, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    quantizer = Uniform(symmetric=symmetric, clip=1.0).build(x.shape)
    x = x.clone().requires_grad_()
    quantizer(x).backward(upstream)
    (clip,) = quantizer.parameters()
    assert x.grad is not None
    assert clip.grad is not None
    return x.grad, clip.grad


@pytest.mark.parametrize("symmetric", [True, False])
def test_clipped_values_pass_their_gradient_to_the_clip(symmetric: bool) -> None:
    x = torch.tensor([-3.0, -1.0, 0.2, 1.0, 4.0])
    passed, clips = gradients(symmetric, x, torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert passed.tolist() == [0.0, 0.0, 4.0, 0.0, 0.0]
    assert clips.tolist() == [3.0, 24.0]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("granularity", ["tensor", "row"])
@pytest.mark.parametrize("shape", [(3, 7), (2, 2, 3, 4)])
def test_gradients_are_the_slopes_of_clipping(
    symmetric: bool, granularity: Granularity, shape: tuple[int, ...]
) -> None:
    generator, step = torch.Generator().manual_seed(len(shape)), 1e-6
    start, upstream = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    quantizer = Uniform(symmetric=symmetric, granularity=granularity, clip=0.8).build(start.shape).double()
    x = start.clone().requires_grad_()
    quantizer(x).backward(upstream)

    def clipped(x: Tensor, low: float, high: float) -> Tensor:
        return upstream * x.clamp(low, high)

    slopes = (clipped(start + step, -0.8, 0.8) - clipped(start - step, -0.8, 0.8)) / (2 * step)
    below, above = (
        float((clipped(start, -0.8 + step * low, 0.8 + step * high) - clipped(start, -0.8, 0.8)).sum()) / step
        for low, high in ((1, 0), (0, 1))
    )
    assert x.grad is not None
    assert quantizer.clip.grad is not None
    assert torch.allclose(x.grad, slopes, atol=1e-7)
    assert quantizer.clip.grad.tolist() == pytest.approx([below, above], abs=1e-5)


def test_without_clipped_values_the_clips_have_a_gradient_of_zero() -> None:
    passed, clips = gradients(True, torch.tensor([-0.5, 0.9]), torch.tensor([1.0, 2.0]))
    assert passed.tolist() == [1.0, 2.0]
    assert clips.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("scale", "clips", "together"),
    [(0.3, (1.0, 1.1), True), (3.0, (1.0, 1.0), True), (3.0, (1.0, 1.1), False), (1.05, (1.0, 1.1), False)],
    ids=["no clipping", "equal clips", "different clips", "one branch clips"],
)
def test_branches_share_common_computations(
    scale: float, clips: tuple[float, float], together: bool, symmetric: bool
) -> None:
    x = torch.linspace(-scale, scale, 20).view(4, 5)
    first, second = (Uniform(clip=clip, symmetric=symmetric).build(x.shape) for clip in clips)
    with torch.no_grad():
        y, other = first.forward_branches([second], x)
        assert torch.equal(y, first(x))
        assert torch.equal(other, second(x))
    assert (y is other) is together
    codes, its_codes = first.encode_branches([second], x)
    assert (codes is its_codes) is together
    assert torch.equal(codes.decode(), y)
    assert torch.equal(its_codes.decode(), other)
    for_training = first.forward_branches([second], x)
    # a clip with clipped values gets a separate gradient
    assert (for_training[0] is for_training[1]) is (together and scale < clips[0])
    assert all(item.requires_grad for item in for_training)


@pytest.mark.parametrize("symmetric", [True, False])
def test_bfloat16_activations_have_the_values_of_their_codes_and_gradients_summed_in_float32(symmetric: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(40, 50, generator=generator).bfloat16() for _ in range(2))
    quantizer = Uniform(symmetric=symmetric).build(x.shape)
    assert torch.equal(quantizer(x), quantizer.encode(x).decode())
    passed, clips = gradients(symmetric, x, upstream)
    exact, exact_clips = gradients(symmetric, x.float(), upstream.float())
    assert passed.dtype == torch.bfloat16
    assert torch.equal(passed.float(), exact)
    assert torch.equal(clips, exact_clips)


@pytest.mark.parametrize(("clips", "together"), [((1.0, 1.0), True), ((1.0, 1.1), False)])
def test_branches_share_bfloat16_values_too(clips: tuple[float, float], together: bool) -> None:
    x = torch.linspace(-3, 3, 20).bfloat16().view(4, 5)
    first, second = (Uniform(clip=clip).build(x.shape) for clip in clips)
    with torch.no_grad():
        values = first.forward_branches([second], x)
    assert (values[0] is values[1]) == together
    assert torch.equal(values[0], first(x))
    assert torch.equal(values[1], second(x))


def test_branches_with_other_options_have_separate_codes() -> None:
    x = torch.linspace(-1, 1, 20).view(4, 5)
    first, second = Uniform().build(x.shape), Lsq().build(x.shape).eval()
    codes, its_codes = first.encode_branches([second], x)
    assert torch.equal(codes.decode(), first(x))
    assert torch.equal(its_codes.decode(), second(x))


def test_nan_stays_nan_in_codes() -> None:
    x = torch.tensor([0.5, torch.nan, -3.0])
    codes = Uniform().build(x.shape).encode(x)
    assert codes.levels.tolist() == [0, 0, 0]
    assert codes.decode().isnan().all()


def test_a_fixed_clip_is_state_but_not_trained() -> None:
    quantizer = Uniform(learnable=False).build(torch.Size([3]))
    assert list(quantizer.parameters()) == []
    assert quantizer.state_dict()["clip"].tolist() == [-2.5, 2.5]


def test_a_deepcopy_learns_independently() -> None:
    quantizer = Uniform().build(torch.Size([3]))
    twin = copy.deepcopy(quantizer)
    with torch.no_grad():
        twin.clip.mul_(0.5)
    assert quantizer.clip.tolist() == [-2.5, 2.5]


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_as_published_symmetric_levels_of_zeros_are_nan(granularity: Granularity) -> None:
    x = torch.zeros(2, 3)
    for symmetric in (True, False):
        options = Uniform(symmetric=symmetric, granularity=granularity, as_published=True)
        quantizer = options.build(x.shape)
        assert quantizer(x).isnan().all() == symmetric
        assert torch.equal(quantizer.encode(x).decode().isnan(), quantizer(x).isnan())


@pytest.mark.parametrize("options", [{"bits": 1}, {"bits": 17}, {"clip": 0.0}, {"granularity": "column"}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Uniform(**options)


@pytest.mark.slow
@pytest.mark.parametrize("symmetric", [True, False])
def test_compiles(symmetric: bool) -> None:
    check_quantizer(Uniform(symmetric=symmetric, clip=1.0), compiled=True)


def test_the_grid_clips_only_what_is_outside() -> None:
    inside = Uniform(symmetric=False).build(torch.Size([3])).level_grid(-1.0, 2.0)
    assert inside is not None
    assert (inside.offset, inside.base, inside.clip_low, inside.clip_high) == (-1.0, -1.0, -torch.inf, torch.inf)
    clipped = Uniform(bits=2).build(torch.Size([3])).level_grid(-1.0, 5.0)
    assert clipped is not None
    assert (clipped.step, clipped.offset, clipped.clip_low, clipped.clip_high) == (2.5, None, -2.5, 2.5)


def test_there_is_no_grid_of_rows_or_of_zeros_as_published() -> None:
    assert Uniform(granularity="row").build(torch.Size([3])).level_grid(-1.0, 1.0) is None
    assert Uniform(as_published=True).build(torch.Size([3])).level_grid(0.0, 0.0) is None
    assert Uniform().build(torch.Size([3])).level_grid(0.0, 0.0) is not None
