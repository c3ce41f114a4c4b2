from __future__ import annotations

import torch

from bebertlab.interfaces.architecture import Architecture
from bebertlab.nn.initial import random_checkpoint, random_tensor


def test_the_seed_decides_every_weight_and_nothing_else_does(sizes: Architecture) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = random_checkpoint(sizes, seed=3).tensors
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    second, other = random_checkpoint(sizes, seed=3).tensors, random_checkpoint(sizes, seed=4).tensors
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [name for name in first if torch.equal(first[name], other[name]) and first[name].ndim == 2] == []


def test_biases_are_zero_norms_one_and_padding_zero(sizes: Architecture) -> None:
    tensors = random_checkpoint(sizes, seed=0).tensors
    assert all(not tensor.any() for name, tensor in tensors.items() if name.endswith(".bias"))
    assert all((tensor == 1).all() for name, tensor in tensors.items() if name.endswith("LayerNorm.weight"))
    words = tensors["bert.embeddings.word_embeddings.weight"]
    assert not words[0].any()
    assert words[1:].any(1).all()


def test_matrices_have_the_spread_that_is_asked_for() -> None:
    tensor = random_tensor("x.weight", torch.Size([200, 200]), torch.Generator().manual_seed(0), spread=0.5)
    assert abs(float(tensor.std()) - 0.5) < 0.01
