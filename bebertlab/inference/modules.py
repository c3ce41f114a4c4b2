"""Modules of a model that is prepared for inference: weights are quantized, converted or packed once.

Each replaces a module of `model/linear.py` or `model/embedding.py` and is called like it. A linear map also has
`quantizes_input`; its `forward` takes `first_token`, to compute (B, 1, O) of an input (B, T, I).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.inference.int8 import INPUT_BITS, Int8Input, Int8Weight, large_enough_for_int8
from bebertlab.interfaces.capabilities import SupportsBranchCodes
from bebertlab.interfaces.quantizer import Codes, Quantizer
from bebertlab.model.embedding import PADDING, EmbeddingBranch
from bebertlab.model.linear import (
    Linear,
    LinearBranch,
    QuantizedLinear,
    quantize_inputs,
    sum_products,
)


class CastLinear(nn.Module):
    """An ordinary linear map whose weight is in the dtype of its products."""

    quantizes_input = False

    def __init__(self, linear: Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._weight, self._bias = linear.weight.detach().to(dtype), linear.bias.detach()

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The product plus the bias."""
        return F.linear(x[:, :1] if first_token else x, self._weight, self._bias)


class FixedLinear(nn.Module):
    """A sum of linear maps whose weights are quantized already; branches with equal inputs share one product."""

    def __init__(self, linear: QuantizedLinear, dtype: torch.dtype | None) -> None:
        super().__init__()
        branches: list[LinearBranch] = [*linear.branches]
        weights = [branch.quantized_weight().detach() for branch in branches]
        total = reduce(torch.add, weights)
        self._weights, self._total = [_cast(weight, dtype) for weight in weights], _cast(total, dtype)
        self._bias = _sum_biases(branches)
        self.quantizes_input = linear.quantizes_input
        self.input_quantizers = nn.ModuleList(linear.input_quantizers())
        self._jointly = linear.jointly

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The sum over the branches."""
        quantizers: list[Quantizer] = [*self.input_quantizers]
        inputs = quantize_inputs(quantizers, x, jointly=self._jointly)
        if first_token:
            inputs = [quantized[:, :1] for quantized in inputs]
        if len(inputs) == 1:
            return F.linear(inputs[0], self._total, self._bias)
        return sum_products(inputs, self._weights, self._bias)


class Int8Linear(nn.Module):
    """A sum of linear maps of integers: int8 GEMMs, which are exact, then scales."""

    quantizes_input = True

    def __init__(self, linear: QuantizedLinear, weights: Sequence[Int8Weight]) -> None:
        super().__init__()
        branches: list[LinearBranch] = [*linear.branches]
        self._weights = weights
        self._biases = [branch.bias.detach() for branch in branches]
        self.input_quantizers = nn.ModuleList(linear.input_quantizers())
        self._jointly = isinstance(linear.input_quantizers()[0], SupportsBranchCodes)

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The sum over the branches."""
        encoded = self._encode(x)
        distinct = {id(codes): codes for codes in encoded}
        inputs = {key: Int8Input.of(codes, first_token) for key, codes in distinct.items()}
        total: Tensor | None = None
        for codes, weight, bias in zip(encoded, self._weights, self._biases, strict=True):
            total = weight.linear(inputs[id(codes)], bias, total)
        if total is None:
            raise AssertionError("a linear map has a branch")
        return total.view(x.shape[0], 1, -1) if first_token else total.view(*x.shape[:-1], -1)

    def _encode(self, x: Tensor) -> list[Codes]:
        first, *others = quantizers = cast("list[Quantizer]", [*self.input_quantizers])
        if self._jointly:
            return cast("SupportsBranchCodes", first).encode_branches(others, x)
        return [quantizer.encode(x) for quantizer in quantizers]


class FixedEmbedding(nn.Module):
    """A branch of a word embedding whose table is quantized already."""

    def __init__(self, branch: EmbeddingBranch) -> None:
        super().__init__()
        self._table = branch.weight if branch.weight_quantizer is None else branch.weight_quantizer(branch.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """The rows of the tokens, (..., H)."""
        return F.embedding(tokens, self._table, PADDING)


def prepare_linear(linear: QuantizedLinear, dtype: torch.dtype | None, *, int8: bool) -> nn.Module:
    """A quantized linear map with fixed weights: of integers if `int8` and its quantizers allow it."""
    if int8:
        weights = [_int8_weight(branch) for branch in linear.branches]
        eligible = [weight for weight in weights if weight is not None]
        if len(eligible) == len(weights):
            return Int8Linear(linear, eligible)
    return FixedLinear(linear, dtype)


def int8_eligible(branch: LinearBranch) -> bool:
    """Whether a branch may have int8 products, as far as that is known before its weight is quantized."""
    quantizers = branch.weight_quantizer, branch.input_quantizer
    few_levels = all(quantizer is not None and quantizer.bits <= INPUT_BITS for quantizer in quantizers)
    return few_levels and large_enough_for_int8(branch.weight)


def _int8_weight(branch: nn.Module) -> Int8Weight | None:
    if not isinstance(branch, LinearBranch) or branch.weight_quantizer is None or not int8_eligible(branch):
        return None
    return Int8Weight.of(branch.weight_quantizer.encode(branch.weight))


def _sum_biases(branches: Sequence[LinearBranch]) -> Tensor:
    biases: list[Tensor] = [branch.bias.detach() for branch in branches]
    return reduce(torch.add, biases)


def _cast(weight: Tensor, dtype: torch.dtype | None) -> Tensor:
    return weight if dtype is None else weight.to(dtype)
