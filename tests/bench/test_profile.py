from __future__ import annotations

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from bebertlab.bench.models import W1A8, BenchConfig, full_precision
from bebertlab.bench.profile import StepPart, mark, mark_modules, microseconds_by_part, profile_steps
from bebertlab.bench.training import equal_length_setup
from bebertlab.data.batches import batches
from bebertlab.errors import UserError
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier


@pytest.fixture(scope="module")
def batch(config: BenchConfig) -> Batch:
    setup = equal_length_setup(config, steps=1)
    return next(batches(setup.train, setup.sampler.epoch("labels", 0, config.batch_size)))


def _profile(model: BertClassifier, batch: Batch) -> dict[tuple[StepPart, bool], float]:
    model(batch).logits.sum().backward()
    with mark_modules(model), profile(activities=[ProfilerActivity.CPU]) as profiler:
        model(batch).logits.sum().backward()
    return dict(microseconds_by_part(profiler.events(), on_gpu=False))


def test_full_precision_spends_no_time_in_quantizers(config: BenchConfig, batch: Batch) -> None:
    times = _profile(full_precision(config).train(), batch)
    for part in (StepPart.EMBEDDING, StepPart.PRODUCTS, StepPart.ATTENTION, StepPart.POINTWISE):
        assert times[part, False] > 0.0, part
        assert times[part, True] > 0.0, part
    assert not {part for part, _ in times} & {StepPart.WEIGHTS, StepPart.ACTIVATIONS}


def test_time_of_quantizers_is_separate(config: BenchConfig, batch: Batch) -> None:
    times = _profile(W1A8.build(config).train(), batch)
    assert times[StepPart.WEIGHTS, False] > 0.0
    assert times[StepPart.ACTIVATIONS, False] > 0.0
    assert times[StepPart.ACTIVATIONS, True] > 0.0
    assert times[StepPart.GRADIENTS, True] > 0.0


def test_hooks_are_removed_afterwards(config: BenchConfig) -> None:
    model = full_precision(config)
    with mark_modules(model):
        assert any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_innermost_mark_decides() -> None:
    with profile(activities=[ProfilerActivity.CPU]) as profiler, mark(StepPart.ATTENTION), mark(StepPart.PRODUCTS):
        torch.ones(2, 2) @ torch.ones(2, 2)
    times = microseconds_by_part(profiler.events(), on_gpu=False)
    assert {part for part, _ in times} == {StepPart.PRODUCTS, StepPart.PYTHON}


def test_shares_of_a_step_sum_to_one(config: BenchConfig) -> None:
    notified: list[str] = []
    reference, full_precision, quantized = profile_steps(["w1a8"], config, notified.append)
    assert notified == ["full precision", "W1A8 split"]
    for step in (reference, full_precision, quantized):
        assert sum(step.shares.values()) == pytest.approx(1.0)
        assert step.milliseconds > 0.0
        assert step.shares[StepPart.OPTIMIZER, False] > 0.0
        assert step.shares[StepPart.LOSS, False] > 0.0
    assert (StepPart.WEIGHTS, False) not in full_precision.shares
    assert quantized.shares[StepPart.WEIGHTS, False] > 0.0
    assert reference.extra_tensors == {}
    assert len(quantized.extra_tensors) == 6


def test_unknown_scheme_is_an_error(config: BenchConfig) -> None:
    with pytest.raises(UserError, match="unknown scheme of the benchmark 'w1a9'; did you mean 'w1a8'"):
        profile_steps(["w1a9"], config)
