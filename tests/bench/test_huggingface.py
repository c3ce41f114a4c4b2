from __future__ import annotations

import pytest
import torch

from bebertlab.bench.huggingface import HuggingFaceSteps
from bebertlab.bench.scheme import full_precision
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import equal_setup, mixed_setup


def test_it_has_as_many_weights_as_our_full_precision_model(setting: Setting) -> None:
    yardstick = HuggingFaceSteps(setting, equal_setup(setting, steps=1))
    theirs = sum(p.numel() for p in yardstick.model.parameters())
    assert theirs == sum(p.numel() for p in full_precision(setting).parameters())


@pytest.mark.parametrize("bf16", [False, True])
def test_it_trains(setting: Setting, bf16: bool) -> None:
    yardstick = HuggingFaceSteps(setting, equal_setup(setting, steps=1), bf16=bf16)
    before = [p.detach().clone() for p in yardstick.model.parameters()]
    assert yardstick.take(2) > 0.0
    assert not any(torch.equal(old, new) for old, new in zip(before, yardstick.model.parameters(), strict=True))


def test_sentences_are_padded_as_asked_for(setting: Setting) -> None:
    shapes: list[tuple[int, ...]] = []
    padding: list[float] = []
    yardstick = HuggingFaceSteps(setting, mixed_setup(setting, steps=3, warm_up=0), padded=64)

    def see(module: object, arguments: object, inputs: dict[str, torch.Tensor]) -> None:
        shapes.append(tuple(inputs["input_ids"].shape))
        padding.append(float(inputs["attention_mask"].float().mean()))

    yardstick.model.register_forward_pre_hook(see, with_kwargs=True)
    yardstick.take(3)
    assert shapes == [(4, 64)] * 3
    assert max(padding) < 1.0
