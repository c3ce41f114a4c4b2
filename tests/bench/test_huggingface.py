from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bebertlab.bench.data import generated_batches
from bebertlab.bench.huggingface import (
    HuggingFaceTraining,
    model_inputs,
    reference_model,
    replace_linear_layers,
    split_reference_model,
)
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


def test_split_reference_has_the_weights_of_the_whole_one_in_two_branches(config: BenchConfig) -> None:
    whole, split = reference_model(config.architecture), split_reference_model(config.architecture).eval()
    assert _matrix_elements(split) == _matrix_elements(whole)
    (batch,) = generated_batches(np.array([5, 3]), 2, config)
    assert split(**model_inputs(batch)).logits.shape == (2, 2)


def _matrix_elements(model: nn.Module) -> int:
    return sum(p.numel() for name, p in model.named_parameters() if "encoder" in name and p.ndim == 2)


def test_every_linear_layer_of_the_encoder_is_replaced_and_no_other(config: BenchConfig) -> None:
    model = reference_model(config.architecture)
    replaced: list[nn.Linear] = []

    def replacement(linear: nn.Linear) -> nn.Module:
        replaced.append(linear)
        return nn.Identity()

    replace_linear_layers(model, replacement)
    assert len(replaced) == 6 * config.architecture.layers
    assert isinstance(model.get_submodule("classifier"), nn.Linear)
    assert isinstance(model.get_submodule("bert.encoder.layer.1.output.dense"), nn.Identity)
