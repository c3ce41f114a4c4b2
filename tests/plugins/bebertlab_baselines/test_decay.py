from __future__ import annotations

import copy
import math

import pytest
import torch

from bebertlab_baselines.decay import Decay, decayed


@pytest.mark.parametrize(("fraction", "steepness", "factor"), [(0.0, 0.1, 10.0), (0.5, 1.0, 1.0), (1.0, 10.0, 1.0)])
def test_it_sharpens_evenly_on_a_logarithmic_scale(fraction: float, steepness: float, factor: float) -> None:
    decay = Decay(0.1, 10.0)
    decay.progress(fraction)
    assert math.isclose(decay.steepness.item(), steepness, rel_tol=1e-6)
    assert math.isclose(decay.factor.item(), factor, rel_tol=1e-6)


def test_the_slope_at_zero_is_never_below_one() -> None:
    decay, slopes = Decay(0.1, 10.0), []
    for step in range(11):
        decay.progress(step / 10)
        slopes.append(decayed(torch.ones(1), torch.zeros(1), decay.steepness, decay.factor).item())
    assert slopes[:6] == pytest.approx([1.0] * 6)
    assert slopes[6:] == sorted(slopes[6:])
    assert slopes[-1] == pytest.approx(10.0)


def test_it_is_no_part_of_what_is_saved_and_a_copy_goes_on_alone() -> None:
    decay = Decay(0.1, 10.0)
    twin = copy.deepcopy(decay)
    twin.progress(1.0)
    assert not decay.state_dict()
    assert decay.steepness.item() == pytest.approx(0.1)
