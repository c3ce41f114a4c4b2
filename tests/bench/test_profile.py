from __future__ import annotations

import pytest

from bebertlab.bench.parts import ModelPart
from bebertlab.bench.profile import profile_steps
from bebertlab.bench.setting import Setting
from bebertlab.errors import UserError


def test_a_step_is_the_sum_of_its_parts(setting: Setting) -> None:
    told: list[str] = []
    yardstick, own, quantized = profile_steps(["w1a8"], setting, told.append)
    assert told == ["full precision", "W1A8 split"]
    for one in (yardstick, own, quantized):
        assert sum(one.shares.values()) == pytest.approx(1.0)
        assert one.milliseconds > 0.0
        assert one.shares[ModelPart.OPTIMIZER, False] > 0.0
    assert (ModelPart.WEIGHTS, False) not in own.shares
    assert quantized.shares[ModelPart.WEIGHTS, False] > 0.0
    assert yardstick.extras == {}
    assert len(quantized.extras) == 6


def test_a_scheme_that_is_not_there_is_told(setting: Setting) -> None:
    with pytest.raises(UserError, match="unknown scheme of the benchmark 'w1a9'; did you mean 'w1a8'"):
        profile_steps(["w1a9"], setting)
