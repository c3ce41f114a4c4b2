from __future__ import annotations

import pytest
import torch

from bebertlab.interfaces.batch import Batch


@pytest.mark.parametrize("weights", [None, torch.ones(2)])
def test_every_tensor_moves_to_the_device(weights: torch.Tensor | None) -> None:
    tokens = torch.zeros(2, 3, dtype=torch.int64)
    batch = Batch(
        positions=torch.arange(2),
        tokens=tokens,
        segments=tokens,
        mask=tokens.bool(),
        labels=tokens[:, 0],
        weights=weights,
    ).to("meta")
    tensors = [batch.positions, batch.tokens, batch.segments, batch.mask, batch.labels]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert (batch.weights is None) == (weights is None)
    assert batch.weights is None or batch.weights.device.type == "meta"
