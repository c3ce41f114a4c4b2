"""Codes of a quantizer, and the tensors that it is tried on: those that occur in models, and difficult ones."""

from __future__ import annotations

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Alphabet, Quantizer
from bebertlab.testing.contract import require

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
        "equal values": torch.full_like(x, 0.25),
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
    """A tensor in the shape of x, with zeros, whose mean is exactly 0 over every row, every column and the whole.

    So 0 is also the centre for a quantizer that subtracts a mean.
    """
    half = torch.arange(x.shape[-1] // 2) % 3 / 2
    row = torch.cat([half, torch.zeros(x.shape[-1] % 2), -half.flip(0)])
    signs = 1 - 2 * (torch.arange(x.numel() // x.shape[-1]) % 2)
    return (signs[:, None] * row).view(x.shape)


def check_codes(quantizer: Quantizer, x: Tensor, what: str) -> None:
    """Check shape, dtype, finiteness, alphabet, and that `encode(x).decode()` is `forward(x)`, on one tensor.

    Raises:
        ContractError: says what is wrong, beginning with `what`.
    """
    with torch.no_grad():
        y, codes = quantizer(x), quantizer.encode(x)
    require(y.shape == x.shape, f"{what}: forward turns shape {tuple(x.shape)} into {tuple(y.shape)}")
    require(y.dtype == x.dtype, f"{what}: forward turns {x.dtype} into {y.dtype}")
    require(y.device == x.device, f"{what}: forward turns a tensor on {x.device} into one on {y.device}")
    require(bool(y.isfinite().all()), f"{what}: forward gives NaN or infinity")
    levels, alphabet = codes.levels, quantizer.alphabet
    require(levels.shape == x.shape, f"{what}: levels have shape {tuple(levels.shape)}, not {tuple(x.shape)}")
    whole = not (levels.is_floating_point() or levels.is_complex() or levels.dtype == torch.bool)
    require(whole, f"{what}: levels are {levels.dtype}, not of an integer dtype")
    require(codes.alphabet == alphabet, f"{what}: codes have the {codes.alphabet}, the quantizer {alphabet}")
    _check_levels(levels, alphabet, what)
    decoded = codes.decode()
    require(decoded.shape == x.shape, f"{what}: decode gives shape {tuple(decoded.shape)}, not {tuple(x.shape)}")
    require(decoded.dtype == y.dtype, f"{what}: decode gives {decoded.dtype}, forward {y.dtype}")
    different = int((decoded != y).sum())
    require(not different, f"{what}: encode(x).decode() differs from forward(x) in {different} of {x.numel()} elements")


def _check_levels(levels: Tensor, alphabet: Alphabet, what: str) -> None:
    # half precision rounds the largest of more than 256 levels to its neighbor
    exact = alphabet.size <= 2**8
    fits = alphabet.contains(levels) if exact else alphabet.contains(levels.clamp(alphabet.low, alphabet.high))
    close = int(levels.min()) >= alphabet.low - 1 and int(levels.max()) <= alphabet.high + 1
    distinct = torch.unique(levels)
    shown = distinct.tolist() if len(distinct) <= 4 else f"from {int(distinct[0])} to {int(distinct[-1])}"
    require(fits and close, f"{what}: levels {shown} are not all in the declared {alphabet}")
