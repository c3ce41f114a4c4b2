from __future__ import annotations

import pickle

from bebertlab.bench.setting import Setting


def test_a_setting_can_be_told_to_another_process() -> None:
    setting = Setting(shape="tiny", quick=True)
    assert pickle.loads(pickle.dumps(setting)) == setting


def test_quick_is_less_work() -> None:
    quick, whole = Setting(quick=True), Setting()
    assert quick.turns * quick.steps < whole.turns * whole.steps
    assert quick.turns >= 3  # a median of fewer is no median


def test_a_gpu_has_more_steps_in_a_block() -> None:
    assert Setting(device="cuda:0").on_gpu
    assert Setting(device="cuda").steps > Setting().steps
