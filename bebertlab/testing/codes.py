"""The law of codes: what a quantizer gives is what its integers stand for."""

from __future__ import annotations

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.testing.contract import require


def check_codes(quantizer: Quantizer, x: Tensor, what: str) -> None:
    """Shape, dtype, finiteness, levels and the law of encode and decode on one tensor.

    Raises:
        ContractError: says what is wrong, and begins with `what`.
    """
    with torch.no_grad():
        y, codes = quantizer(x), quantizer.encode(x)
    require(y.shape == x.shape, f"{what}: forward turns shape {tuple(x.shape)} into {tuple(y.shape)}")
    require(y.dtype == x.dtype, f"{what}: forward turns {x.dtype} into {y.dtype}")
    require(y.device == x.device, f"{what}: forward turns a tensor on {x.device} into one on {y.device}")
    require(bool(y.isfinite().all()), f"{what}: forward gives NaN or infinity")
    levels = codes.levels
    require(levels.shape == x.shape, f"{what}: levels have shape {tuple(levels.shape)}, not {tuple(x.shape)}")
    whole = not (levels.is_floating_point() or levels.is_complex() or levels.dtype == torch.bool)
    require(whole, f"{what}: levels are {levels.dtype}, not of an integer dtype")
    require(codes.bits == quantizer.bits, f"{what}: codes say {codes.bits} bits, the quantizer {quantizer.bits}")
    _check_range(levels, codes.bits, what)
    decoded = codes.decode()
    require(decoded.shape == x.shape, f"{what}: decode gives shape {tuple(decoded.shape)}, not {tuple(x.shape)}")
    require(decoded.dtype == y.dtype, f"{what}: decode gives {decoded.dtype}, forward {y.dtype}")
    different = int((decoded != y).sum())
    require(not different, f"{what}: encode(x).decode() is not forward(x) in {different} of {x.numel()} places")


def _check_range(levels: Tensor, bits: int, what: str) -> None:
    found = torch.unique(levels)
    most = 2**bits
    require(found.numel() <= most, f"{what}: {found.numel()} levels do not fit into {bits} bits")
    # 1 bit holds -1 and +1; with more bits the levels are neighbours, but half precision rounds those of more than 8
    span = int(found[-1]) - int(found[0])
    fits = span < most if 1 < bits <= 8 else span <= most
    require(fits, f"{what}: levels from {int(found[0])} to {int(found[-1])} do not fit into {bits} bits")
