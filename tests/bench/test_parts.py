from __future__ import annotations

import pytest
from torch.profiler import ProfilerActivity, profile

from bebertlab.bench.parts import ModelPart, by_part, mark, marked
from bebertlab.bench.scheme import W1A8, full_precision
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import equal_setup
from bebertlab.data.batches import batches
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier


@pytest.fixture(scope="module")
def batch(setting: Setting) -> Batch:
    setup = equal_setup(setting, steps=1)
    return next(batches(setup.train, setup.sampler.epoch("labels", 0, setting.batch_size)))


def _times(model: BertClassifier, batch: Batch) -> dict[tuple[ModelPart, bool], float]:
    model(batch).logits.sum().backward()
    with marked(model), profile(activities=[ProfilerActivity.CPU]) as profiler:
        model(batch).logits.sum().backward()
    return dict(by_part(profiler.events(), on_gpu=False))


def test_full_precision_has_no_time_in_quantizers(setting: Setting, batch: Batch) -> None:
    times = _times(full_precision(setting).train(), batch)
    for part in (ModelPart.EMBEDDING, ModelPart.PRODUCTS, ModelPart.ATTENTION, ModelPart.POINTWISE):
        assert times[part, False] > 0.0, part
        assert times[part, True] > 0.0, part
    assert not times.keys() & {
        (part, back) for part in (ModelPart.WEIGHTS, ModelPart.ACTIVATIONS) for back in (True, False)
    }


def test_quantizers_have_parts_of_their_own(setting: Setting, batch: Batch) -> None:
    times = _times(W1A8.build(setting).train(), batch)
    assert times[ModelPart.WEIGHTS, False] > 0.0
    assert times[ModelPart.ACTIVATIONS, False] > 0.0
    assert times[ModelPart.ACTIVATIONS, True] > 0.0
    assert times[ModelPart.GRADIENTS, True] > 0.0


def test_marks_are_gone_afterwards(setting: Setting) -> None:
    model = full_precision(setting)
    with marked(model):
        assert any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_innermost_mark_counts() -> None:
    import torch

    with profile(activities=[ProfilerActivity.CPU]) as profiler, mark(ModelPart.ATTENTION), mark(ModelPart.PRODUCTS):
        torch.ones(2, 2) @ torch.ones(2, 2)
    times = by_part(profiler.events(), on_gpu=False)
    assert {part for part, _ in times} == {ModelPart.PRODUCTS, ModelPart.PYTHON}
