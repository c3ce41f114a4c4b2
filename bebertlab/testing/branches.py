"""Quantizers of branches that get the same input."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Codes, Quantizer
from bebertlab.testing.contract import require


def check_branches(quantizer: Quantizer, x: Tensor) -> None:
    """`forward_branches` and `encode_branches` equal the single branches, also where their parameters differ.

    `forward_branches` gives gradients too.

    Raises:
        ContractError: it does not.
    """
    twin, moved = copy.deepcopy(quantizer), copy.deepcopy(quantizer)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.mul_(0.9)
    branches = [quantizer, twin, moved]
    x = x.detach().requires_grad_()
    alone = [branch(x) for branch in branches]
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            together = quantizer.forward_branches([twin, moved], x)
        same = len(together) == len(alone) and all(map(torch.equal, together, alone))
        require(
            same,
            f"forward_branches differs from forward(x) of a branch, {'with' if gradients else 'without'} gradients",
        )
    with torch.no_grad():
        codes = quantizer.encode_branches([twin, moved], x)
        same = len(codes) == len(branches) and all(
            _same_codes(found, branch.encode(x)) for found, branch in zip(codes, branches, strict=True)
        )
    require(same, "encode_branches does not give encode(x) of every branch")
    learned = [x, *(parameter for branch in branches for parameter in branch.parameters())]
    pairs = zip(_gradients(together, learned), _gradients(alone, learned), strict=True)
    require(
        all(map(_alike, *zip(*pairs, strict=True))), "forward_branches does not give x and parameters their gradients"
    )


def _gradients(values: Sequence[Tensor], learned: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """Of a sum in which every value has a weight of its own."""
    weights = torch.linspace(-1, 2, sum(value.numel() for value in values), device=values[0].device)
    total = (torch.cat([value.flatten() for value in values]) * weights).sum()
    return torch.autograd.grad(total, learned, allow_unused=True, retain_graph=True)


def _same_codes(one: Codes, other: Codes) -> bool:
    return (
        one.bits == other.bits and torch.equal(one.levels, other.levels) and torch.equal(one.decode(), other.decode())
    )


def _alike(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)
