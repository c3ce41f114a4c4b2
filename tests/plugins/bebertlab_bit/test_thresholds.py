"""The comparison by which elastic signs are decided."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bebertlab_bit import Elastic
from bebertlab_bit.quantizers import SMALLEST, ElasticQuantizer

CHANNELS = torch.Size([3])


def elastic(scale: float, shift: list[float] | None = None, **options: Any) -> ElasticQuantizer:  # noqa: ANN401
    quantizer = Elastic(shift=shift is not None, **options).build(CHANNELS)
    state = {"scale": torch.tensor(scale), "initialised": torch.tensor(True)}
    quantizer.load_state_dict(state if shift is None else {**state, "shift": torch.tensor(shift)})
    return quantizer


def test_two_signs_are_decided_by_a_threshold() -> None:
    threshold = elastic(0.5, shift=[0.25, -0.5, 0.0]).binary_threshold()
    assert threshold is not None
    assert threshold.inclusive
    assert threshold.step == 0.5
    assert threshold.shift is not None
    assert threshold.shift.tolist() == [0.25, -0.5, 0.0]
    least = elastic(0.0).binary_threshold()
    assert least is not None
    assert least.step == torch.tensor(SMALLEST)


@given(
    scale=st.floats(0, 2.0**99, width=32),
    steps=st.integers(-3, 3),
    shift=st.floats(-4, 4, width=32) | st.just(0.0),
)
def test_zero_and_one_are_decided_by_half_a_step(scale: float, steps: int, shift: float) -> None:
    quantizer = elastic(scale, shift=[shift] * 3, signed=False).eval()
    threshold = quantizer.binary_threshold()
    assert threshold is not None
    assert threshold.border is not None
    assert threshold.shift is not None
    assert not threshold.inclusive
    x, way = threshold.border - threshold.shift, torch.tensor(math.copysign(math.inf, steps))
    for _ in range(abs(steps)):
        x = x.nextafter(way)
    assert torch.equal(quantizer.encode(x).levels == 1, x + threshold.shift > threshold.border)


def test_half_a_step_is_zero_for_every_significand() -> None:
    significands = torch.cat([1 + torch.arange(4096) * 2.0**-23, 2 - torch.arange(1, 4097) * 2.0**-23])
    for step in (significands * 2.0**power for power in (-16, 0, 20)):
        border, high = step / 2, (step / 2).nextafter(torch.tensor(torch.inf))
        assert not ((border / step).clamp(0, 1).round() == 1).any()
        assert ((high / step).clamp(0, 1).round() == 1).all()


@pytest.mark.parametrize("options", [{"bits": 2}, {"bits": 2, "signed": False}, {"as_published": True}])
def test_other_levels_have_no_threshold(options: dict[str, Any]) -> None:
    assert elastic(1.0, **options).binary_threshold() is None


def test_a_scale_that_is_not_set_has_no_threshold() -> None:
    assert Elastic().build(CHANNELS).eval().binary_threshold() is None


def test_the_smallest_negative_number_counts_as_minus_one_whatever_the_scale() -> None:
    quantizer = elastic(4.0).eval()
    x = torch.tensor([[-(2.0**-149), 2.0**-149, -0.0]])
    assert quantizer.encode(x).levels.tolist() == [[-1, 1, 1]]
    assert quantizer(x).tolist() == [[-4.0, 4.0, 4.0]]


def test_levels_of_several_bits_have_a_grid() -> None:
    grid = elastic(0.5, bits=2, shift=[0.25, -0.5, 0.0]).level_grid(-3.0, 9.0)
    assert grid is not None
    assert (grid.step, grid.divisor, grid.offset) == (0.5, 0.5, None)
    unsigned = elastic(0.0, bits=2, signed=False).level_grid(-3.0, 9.0)
    assert unsigned is not None
    assert (unsigned.step, unsigned.offset, unsigned.base) == (SMALLEST, -3.0, -3.0)


def test_signs_and_scales_that_are_not_set_have_no_grid() -> None:
    assert elastic(0.5).level_grid(-1.0, 1.0) is None
    assert Elastic(bits=2).build(CHANNELS).eval().level_grid(-1.0, 1.0) is None
    assert elastic(0.5, shift=[0.25, -0.5, 0.0]).grid_shift is not None
    assert elastic(0.5).grid_shift is None
