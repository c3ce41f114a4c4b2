"""What a quantizer is tried on: tensors as they occur in a model, and those that break quantizers."""

from __future__ import annotations

import torch
from torch import Tensor

MATRIX, CHANNELS, VARYING = torch.Size([6, 16]), torch.Size([16]), torch.Size([])
ORDINARY = "ordinary values"


def matrices() -> dict[str, Tensor]:
    """Weights."""
    x = torch.randn(MATRIX, generator=torch.Generator().manual_seed(0))
    zero_row, outlier, zeros_within = x.clone(), x.clone(), x.clone()
    zero_row[2] = 0.0
    outlier[1, 3] = 40.0
    zeros_within[:, ::3] = 0.0
    return {
        ORDINARY: x,
        "a row of zeros": zero_row,
        "only zeros": torch.zeros_like(x),
        "exact zeros": zeros_within,
        "an outlier": outlier,
        "small values": 1e-4 * x,
        "values of one size": torch.full_like(x, 0.25),
        "negative values": -x.abs() - 0.1,
    }


def states() -> dict[str, Tensor]:
    """Hidden states, (B, T, I)."""
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    return {ORDINARY: x, "values after relu": x.relu(), "only zeros": torch.zeros_like(x), "outliers": 5 * x}


def probabilities() -> dict[str, Tensor]:
    """Attention probabilities, (B, A, T, T)."""
    x = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(2)).softmax(-1)
    masked = x.clone()
    masked[..., 3:] = 0.0
    return {ORDINARY: x, "probabilities of masked tokens": masked}


def balanced(x: Tensor) -> Tensor:
    """Like x: zeros and others of which every row, column and the whole have a mean of exactly 0.

    So 0 is also the centre of a quantizer that subtracts a mean.
    """
    half = torch.arange(x.shape[-1] // 2) % 3 / 2
    row = torch.cat([half, torch.zeros(x.shape[-1] % 2), -half.flip(0)])
    turns = 1 - 2 * (torch.arange(x.numel() // x.shape[-1]) % 2)
    return (turns[:, None] * row).view(x.shape)
