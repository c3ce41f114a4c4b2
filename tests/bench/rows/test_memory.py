from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from bebertlab.bench.measurement import MissingRow, Row
from bebertlab.bench.memory import extra_tensors_by_module
from bebertlab.bench.models import W1A8, BenchConfig, full_precision
from bebertlab.bench.rows import memory
from bebertlab.bench.rows.memory import ALLOCATIONS, PEAKS, measure_allocations, measure_peaks

MEBIBYTE = 2**20
PEAK_MEBIBYTES = {"reference": 1000, "w1a8": 1300, "w1a4": 50}


def test_peaks_are_compared(config: BenchConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_processes(
        call: Callable[..., int], arguments: Sequence[tuple[str, BenchConfig]], *, at_once: int
    ) -> list[int]:
        return [PEAK_MEBIBYTES[name] * MEBIBYTE for name, _ in arguments]

    monkeypatch.setattr(memory, "in_processes", in_processes)
    row, missing = measure_peaks(PEAKS[:2], config)
    assert isinstance(row, Row)
    assert row.ratio.median == 1.3
    assert row.met is True
    assert row.note == "1.3 GiB / 1000.0 MiB"
    assert isinstance(missing, MissingRow)
    assert missing.reason == "the memory of shape 'tiny' is too small to measure"


class WastefulLinear(nn.Module):
    """A linear layer that copies its weight twice, keeps one copy, and keeps a boolean mask of its size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        self.kept = self.weight.detach().clone()
        self.kept.clone()
        self.mask = self.kept > 0
        return nn.functional.linear(x, self.weight)


def test_copies_of_the_weight_are_extra_tensors(config: BenchConfig) -> None:
    model = W1A8.build(config)
    model.get_submodule("bert.encoder.layer.0.attention.self").query = WastefulLinear(32, 16)
    extra = extra_tensors_by_module(model, config)["attention.self.query"]
    assert extra.total == pytest.approx(2.25)
    assert extra.peak >= 1.0  # more while the copy kept by the previous pass is still allocated


def test_ordinary_linear_layers_have_no_extra_tensors(config: BenchConfig) -> None:
    extra_tensors = extra_tensors_by_module(full_precision(config), config)
    assert set(extra_tensors) == {
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    }
    assert all(extra.total == extra.peak == 0.0 for extra in extra_tensors.values())


def test_row_of_allocations_is_the_largest_module(config: BenchConfig) -> None:
    (row,) = measure_allocations(ALLOCATIONS[:1], config)
    assert isinstance(row, Row)
    largest = max(extra.total for extra in extra_tensors_by_module(W1A8.build(config), config).values())
    assert row.ratio.median == largest <= 2.0
