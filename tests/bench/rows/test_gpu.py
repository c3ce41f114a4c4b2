from __future__ import annotations

import pytest
import torch

from bebertlab.bench.row import Missing, Row
from bebertlab.bench.rows import gpu as rows
from bebertlab.bench.rows.gpu import EPOCH, GOALS, gpu
from bebertlab.bench.setting import Setting


def test_without_a_gpu_it_says_what_is_needed(setting: Setting) -> None:
    found = list(gpu(GOALS, setting))
    assert [one.target for one in found] == list(GOALS)
    assert all(isinstance(one, Missing) and one.reason == "needs a GPU: --device cuda" for one in found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_epoch_is_as_long_as_all_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK", 10)
    (row,) = gpu([EPOCH], Setting(device="cuda", quick=True, batch_size=32))
    assert isinstance(row, Row)
    assert row.ratio.median > 0.0
