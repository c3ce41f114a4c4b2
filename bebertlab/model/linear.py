"""Linear maps: ordinary, or as a sum of quantized branches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.interfaces.capabilities import SupportsBranches
from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.model.quantizer_errors import build_quantizer


class Linear(nn.Linear):
    """y = x W^T + b with W and b zero until tensors are loaded: building a model draws no random numbers.

    Shape: (..., I) -> (..., O); with `first_token` (B, T, I) -> (B, 1, O), for the first token of each sentence.
    """

    quantizes_input = False

    def reset_parameters(self) -> None:
        """Fill with zeros."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The product plus the bias."""
        return F.linear(x[:, :1] if first_token else x, self.weight, self.bias)


class LinearBranch(nn.Module):
    """The latent weight, bias and quantizers of one summand of a quantized linear map."""

    def __init__(
        self, inputs: int, outputs: int, weight_options: QuantizerOptions | None, input_options: QuantizerOptions | None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_quantizer = (
            None if weight_options is None else build_quantizer(weight_options, self.weight.shape, "weight")
        )
        self.input_quantizer = (
            None if input_options is None else build_quantizer(input_options, torch.Size([inputs]), "input")
        )

    def quantized_weight(self) -> Tensor:
        """The weight that multiplies, (O, I)."""
        return self.weight if self.weight_quantizer is None else self.weight_quantizer(self.weight)


class QuantizedLinear(nn.Module):
    """A sum of linear maps of the same input, each with its weight, bias and quantizers.

    y = sum over branches k of q_x,k(x) q_w,k(W_k)^T + b_k.
    Shape: (..., I) -> (..., O); with `first_token` (B, T, I) -> (B, 1, O), for the first token of each sentence; the
    inputs of all tokens are quantized together all the same.
    Gradient: that of the quantizers.
    Source: BinaryBERT, arXiv:2012.15701, section 3.2 (two branches after ternary weight splitting).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        branches: int,
        weight_options: QuantizerOptions | None,
        input_options: QuantizerOptions | None,
    ) -> None:
        super().__init__()
        self.quantizes_input = input_options is not None
        self.branches = nn.ModuleList(
            LinearBranch(inputs, outputs, weight_options, input_options) for _ in range(branches)
        )
        self.jointly = supports_branches(self.input_quantizers())  #: input quantizers quantize together

    def input_quantizers(self) -> list[Quantizer]:
        """The input quantizer of each branch; empty where inputs are not quantized."""
        branches: list[LinearBranch] = [*self.branches]
        return [branch.input_quantizer for branch in branches if branch.input_quantizer is not None]

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The sum over the branches."""
        branches: list[LinearBranch] = [*self.branches]
        biases: list[Tensor] = [branch.bias for branch in branches]
        bias = reduce(torch.add, biases)
        weights = [branch.quantized_weight() for branch in branches]
        inputs = quantize_inputs(self.input_quantizers(), x, jointly=self.jointly)
        if first_token:
            inputs = [quantized[:, :1] for quantized in inputs]
        if len(inputs) == 1:
            return F.linear(inputs[0], reduce(torch.add, weights), bias)
        return sum_products(inputs, weights, bias)


def supports_branches(quantizers: Sequence[Quantizer]) -> bool:
    """Whether the input quantizers of a module quantize together."""
    return bool(quantizers) and isinstance(quantizers[0], SupportsBranches)


def quantize_inputs(quantizers: Sequence[Quantizer], x: Tensor, *, jointly: bool) -> list[Tensor]:
    """The input of each branch; a single one where it is the same for all, which then share one product."""
    if not quantizers:
        return [x]
    if jointly:
        first, *others = quantizers
        inputs = cast("SupportsBranches", first).forward_branches(others, x)
    else:
        inputs = [quantizer(x) for quantizer in quantizers]
    return inputs[:1] if all(quantized is inputs[0] for quantized in inputs) else inputs


def sum_products(inputs: Sequence[Tensor], weights: Sequence[Tensor], bias: Tensor) -> Tensor:
    """The sum of the products x_k W_k^T plus a bias, (..., I) and (O, I) -> (..., O)."""
    # each product is added to the sum so far, which takes the place of a bias: no extra pass over the outputs
    total = bias
    for x, weight in zip(inputs, weights, strict=True):
        left, right = _autocast(x.flatten(0, -2)), _autocast(weight.t())
        in_place = total.ndim == 2 and total.dtype is left.dtype is right.dtype
        total = (torch.Tensor.addmm_ if in_place else torch.addmm)(total, left, right)
    return total.view(*inputs[0].shape[:-1], len(bias))


def _autocast(x: Tensor) -> Tensor:
    """x as autocast passes it to a product; it does not do so for products in place."""
    device = x.device.type
    if x.dtype is not torch.float32 or not torch.is_autocast_enabled(device):
        return x
    return x.to(torch.get_autocast_dtype(device))
