from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bebertlab.bench.row import Row
from bebertlab.bench.rows.allocations import GOALS, allocations, layer_extras
from bebertlab.bench.scheme import W1A8, full_precision
from bebertlab.bench.setting import Setting


class Wasteful(nn.Module):
    """An ordinary linear map with two copies of its weight on the way, one kept, and one of a quarter."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        self.kept = self.weight.detach().clone()
        self.kept.clone()
        self.mask = self.kept > 0
        return nn.functional.linear(x, self.weight)


def test_copies_of_the_weight_are_counted(setting: Setting) -> None:
    model = W1A8.build(setting)
    model.get_submodule("bert.encoder.layer.0.attention.self").query = Wasteful(32, 16)
    extra = layer_extras(model, setting)["attention.self.query"]
    assert extra.total == pytest.approx(2.25)
    assert extra.peak >= 1.0  # more where what the pass before kept is still held


def test_an_ordinary_map_takes_nothing_extra(setting: Setting) -> None:
    extras = layer_extras(full_precision(setting), setting)
    assert set(extras) == {
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    }
    assert all(extra.total == extra.peak == 0.0 for extra in extras.values())


def test_the_worst_map_is_the_row(setting: Setting) -> None:
    (row,) = allocations(GOALS[:1], setting)
    assert isinstance(row, Row)
    worst = max(extra.total for extra in layer_extras(W1A8.build(setting), setting).values())
    assert row.ratio.median == worst <= 2.0
