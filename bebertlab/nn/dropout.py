"""Dropout that draws four decisions at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 2**16  # of 16 random bits
_LOWEST = -(2**15)


def drop(x: Tensor, probability: float, training: bool) -> Tensor:
    """Zeros in some places, the others larger by as much; x itself where nothing is to drop.

    y = x k / keep, each k 1 with probability keep, else 0; keep is 1 - probability as a multiple of 2^-16.
    Shape: any -> the same.
    Source: Srivastava et al., JMLR 15 (2014).
    Differs: on a CPU `torch.dropout` draws every decision by itself and takes three times as long; the numbers are
    other ones.
    """
    if not training or not probability:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    return x * _kept(x, probability)


def add_dropped(x: Tensor, update: Tensor, probability: float, training: bool) -> Tensor:
    """x + drop(update), with a pass less."""
    if not training or not probability:
        return x + update
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x + F.dropout(update, probability)
    return torch.addcmul(x, update, _kept(update, probability))


def _kept(x: Tensor, probability: float) -> Tensor:
    """1 / keep in places that stay, else 0, like x."""
    kept = min(round((1 - probability) * _LEVELS), _LEVELS - 1)  # a bound of 16 bits
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    stays = bits.view(torch.int16)[:count].view(x.shape) < _LOWEST + kept
    return stays.to(x.dtype).mul_(_LEVELS / max(kept, 1))
