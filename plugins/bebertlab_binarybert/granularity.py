"""What shares one scale."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

#: one scale for the whole tensor, or one for each row (the last dimension: an output, a word, a token)
Granularity = Literal["tensor", "row"]


def mean(x: Tensor, granularity: Granularity) -> Tensor:
    """The mean of every group, broadcasting to x."""
    return x.mean(-1, keepdim=True) if granularity == "row" else x.mean()


def total(x: Tensor, granularity: Granularity) -> Tensor:
    """The sum of every group, broadcasting to x."""
    return x.sum(-1, keepdim=True) if granularity == "row" else x.sum()
