from __future__ import annotations

import pytest
import torch

from bebertlab.bench.huggingface import HuggingFaceTraining
from bebertlab.bench.models import BenchConfig, full_precision
from bebertlab.bench.training import equal_length_setup, sst2_length_setup


def test_reference_has_as_many_weights_as_our_full_precision_model(config: BenchConfig) -> None:
    reference = HuggingFaceTraining(config, equal_length_setup(config, steps=1))
    weights = sum(p.numel() for p in reference.model.parameters())
    assert weights == sum(p.numel() for p in full_precision(config).parameters())


@pytest.mark.parametrize("bf16", [False, True])
def test_training_updates_all_parameters(config: BenchConfig, bf16: bool) -> None:
    reference = HuggingFaceTraining(config, equal_length_setup(config, steps=1), bf16=bf16)
    before = [p.detach().clone() for p in reference.model.parameters()]
    assert reference.train(2) > 0.0
    assert not any(torch.equal(old, new) for old, new in zip(before, reference.model.parameters(), strict=True))


def test_batches_are_padded_to_the_given_length(config: BenchConfig) -> None:
    shapes: list[tuple[int, ...]] = []
    filled: list[float] = []
    reference = HuggingFaceTraining(config, sst2_length_setup(config, steps=3, warm_up=0), padded=64)

    def record(module: object, arguments: object, inputs: dict[str, torch.Tensor]) -> None:
        shapes.append(tuple(inputs["input_ids"].shape))
        filled.append(float(inputs["attention_mask"].float().mean()))

    reference.model.register_forward_pre_hook(record, with_kwargs=True)
    reference.train(3)
    assert shapes == [(4, 64)] * 3
    assert max(filled) < 1.0
