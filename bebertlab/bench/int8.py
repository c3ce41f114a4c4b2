"""Linear layers with 8-bit weights and inputs of fixed scales: the fastest that torch has on a CPU, oneDNN's."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from bebertlab.bench.huggingface import replace_linear_layers
from bebertlab.inference.integers import onednn_product

_ZERO_POINT = 128
_HIGHEST = 127
#: of inputs; those of random weights have about this range, and the time does not depend on it
_INPUT_STEP = 0.04


class Int8Product:
    """The product of 8-bit inputs with a matrix of 8-bit weights, one scale for a row, and a bias."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        rows = len(weight)
        self._scales = weight.abs().amax(1).clamp(min=torch.finfo(weight.dtype).tiny) / _HIGHEST
        levels = (weight / self._scales[:, None]).round().to(torch.int8)
        self._packed: Any = torch.ops.onednn.qlinear_prepack(levels, None)
        self._zeros, self._bias = torch.zeros(rows, dtype=torch.int32), bias.contiguous()

    def __call__(self, levels: Tensor) -> Tensor:
        """(N, I) uint8, of which 128 stands for 0 -> (N, O) float32."""
        return onednn_product(levels, _INPUT_STEP, _ZERO_POINT, self._packed, self._scales, self._zeros, self._bias)


class _SharedInput:
    """The levels of the last input: query, key and value have the same one, which is quantized once."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._levels = torch.empty(0)

    def levels(self, x: Tensor) -> Tensor:
        """(..., I) -> (N, I) uint8."""
        if self._last is not x:
            flat = x.reshape(-1, x.shape[-1])
            self._levels = torch.quantize_per_tensor(flat, _INPUT_STEP, _ZERO_POINT, torch.quint8).int_repr()
            self._last = x
        return self._levels


class Int8Linear(nn.Module):
    """A linear layer of which weights and inputs have 8 bits.

    Shape: (..., I) -> (..., O).
    """

    def __init__(self, linear: nn.Linear, shared: _SharedInput) -> None:
        super().__init__()
        self._product, self._shared = Int8Product(linear.weight.detach(), linear.bias.detach()), shared

    def forward(self, x: Tensor) -> Tensor:
        """The product plus the bias."""
        return self._product(self._shared.levels(x)).view(*x.shape[:-1], -1)


def quantize_statically(model: nn.Module) -> None:
    """Replace the linear layers of an encoder by `Int8Linear`."""
    shared = _SharedInput()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's quantized tensors are deprecated: it says so once
        shared.levels(torch.zeros(1, 1))
    replace_linear_layers(model, lambda linear: Int8Linear(linear, shared))
