"""The generated encoder gives the hidden states of a trained model to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.encoder import SignEncoder
from bebertlab.kernels.encoder_layers import NormParameters, SignLayer, SignLinear
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.requantize import apply_spec
from bebertlab_bibert.schemes import BibertScheme

LENGTHS = [33, 7, 1, 40]


def packed_linear(module: Any) -> SignLinear:  # noqa: ANN401 - of a path
    (branch,) = module.branches
    codes = branch.weight_quantizer.encode(branch.weight)
    planes = np.packbits(codes.levels.numpy() > 0, axis=1, bitorder="little")
    scale = codes.step.reshape(-1).expand(len(planes)).numpy()
    return SignLinear(planes, scale, branch.bias.detach().numpy())


def packed_norm(module: nn.LayerNorm) -> NormParameters:
    return NormParameters(module.weight.detach().numpy(), module.bias.detach().numpy())


def packed_layer(layer: Any) -> SignLayer:  # noqa: ANN401 - of a path
    attention = layer.attention.self
    return SignLayer(
        query=packed_linear(attention.query),
        key=packed_linear(attention.key),
        value=packed_linear(attention.value),
        output=packed_linear(layer.attention.output.dense),
        attention_norm=packed_norm(layer.attention.output.LayerNorm),
        up=packed_linear(layer.intermediate.dense),
        down=packed_linear(layer.output.dense),
        output_norm=packed_norm(layer.output.LayerNorm),
    )


def padded_batch(architecture: Architecture) -> Batch:
    generator, longest = torch.Generator().manual_seed(1), max(LENGTHS)
    mask = torch.arange(longest) < torch.tensor(LENGTHS)[:, None]
    tokens = torch.randint(1, architecture.vocabulary, mask.shape, generator=generator) * mask
    index = torch.arange(len(LENGTHS))
    return Batch(positions=index, tokens=tokens, segments=torch.zeros_like(tokens), mask=mask, labels=index % 2)


@pytest.mark.parametrize("sizes", [(192, 3, 64, 384), (50, 4, 9, 70)])
def test_a_trained_bibert(encoders: Kernels, sizes: tuple[int, int, int, int]) -> None:
    hidden, heads, head_size, ffn = sizes
    architecture = Architecture(
        vocabulary=30, positions=64, hidden=hidden, heads=heads, head_size=head_size, ffn=ffn, layers=3, classes=2
    )
    checkpoint = random_checkpoint(architecture, seed=0, spread=0.3)
    model = BertClassifier.from_checkpoint(apply_spec(checkpoint, BibertScheme().spec()))
    batch = padded_batch(architecture)
    states = prepare(model)(batch, frozenset({Tap.HIDDEN})).taps[Tap.HIDDEN]
    first, last = (state[batch.mask].numpy() for state in (states[0], states[-1]))
    layers = [packed_layer(layer) for layer in model.get_submodule("bert.encoder.layer").children()]
    encoder = SignEncoder.of(layers, heads, architecture.norm_epsilon, kernels=encoders)
    np.testing.assert_array_equal(encoder(first, LENGTHS, first_token=False), last)
    np.testing.assert_array_equal(encoder(first, LENGTHS), states[-1][:, 0].numpy())
