"""What shares one scale."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

#: one scale for the whole tensor, or one for each row (the last dimension: an output, a word, a token)
Granularity = Literal["tensor", "row"]


def mean(x: Tensor, granularity: Granularity) -> Tensor:
    """The mean of every group, broadcasting to x."""
    return x.mean(-1, keepdim=True) if granularity == "row" else x.mean()


def largest(x: Tensor, granularity: Granularity) -> Tensor:
    """The largest value of every group, broadcasting to x."""
    return x.amax(-1, keepdim=True) if granularity == "row" else x.amax()


def total(x: Tensor, granularity: Granularity) -> Tensor:
    """The sum of every group, broadcasting to x."""
    return x.sum(-1, keepdim=True) if granularity == "row" else x.sum()


def size(x: Tensor, granularity: Granularity) -> int:
    """Numbers in a group.

    >>> import torch
    >>> size(torch.zeros(3, 5), "row"), size(torch.zeros(3, 5), "tensor")
    (5, 15)
    """
    return x.shape[-1] if granularity == "row" else x.numel()
