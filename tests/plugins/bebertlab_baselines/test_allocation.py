"""The memory that a quantizer allocates in addition to its result and the gradient of x."""

from __future__ import annotations

import pytest
import torch

from bebertlab.api import QuantizerOptions
from bebertlab.bench.memory import measure_allocation
from bebertlab_baselines import (
    Bitnet,
    BitnetActivation,
    Dorefa,
    DorefaActivation,
    Irnet,
    IrnetActivation,
    Pact,
    React,
    ReactWeight,
    Xnor,
)


@pytest.mark.parametrize(
    "options",
    [
        Bitnet(),
        BitnetActivation(),
        Dorefa(),
        Dorefa(unit_range=False),
        Dorefa(bits=1),
        DorefaActivation(),
        Irnet(),
        IrnetActivation(),
        Pact(),
        Pact(signed=True),
        React(),
        ReactWeight(),
        Xnor(),
        Xnor(product_rule=True),
    ],
    ids=repr,
)
def test_at_most_two_further_tensors_of_the_size_of_x_live_at_once(options: QuantizerOptions) -> None:
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    upstream, quantizer = torch.ones(64, 64), options.build(x.shape)
    most = measure_allocation(lambda: quantizer(x).backward(upstream), smallest_bytes=x.nbytes).peak_bytes
    assert most <= (2 + 2) * x.nbytes
