"""Modules of a model that is prepared for inference: weights are quantized, converted or packed once.

Each replaces a module of the model and is called like it. A linear map also has `quantizes_input`; its `forward` takes
`first_token`, to compute (B, 1, O) of an input (B, T, I).

Where inputs are quantized, the result of a float operation before a quantizer must not depend on the order of
additions, or it could be rounded to another level on another processor or in another batch. So products of levels are
sums of integers (`inference/integers.py`), and the sums of a LayerNorm and of attention are of float64, rounded once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import Generic, Self, TypeVar, cast

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.integers import IntegerInput, IntegerWeight, exact_product, integer_weights
from bebertlab.interfaces.architecture import ATTENTION_SITES, Site
from bebertlab.interfaces.capabilities import SupportsBranchCodes
from bebertlab.interfaces.quantizer import Codes, Quantizer
from bebertlab.model.attention import SelfAttention
from bebertlab.model.embedding import PADDING, EmbeddingBranch
from bebertlab.model.linear import (
    Linear,
    LinearBranch,
    quantize_inputs,
    sum_products,
    supports_branches,
)

T = TypeVar("T", bound=nn.Module)
Converted = TypeVar("Converted")


class CastLinear(nn.Module):
    """An ordinary linear map whose weight is in the dtype of its products."""

    quantizes_input = False

    def __init__(self, linear: Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self._weight, self._bias = linear.weight.detach().to(dtype), linear.bias.detach()

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The product plus the bias."""
        return F.linear(x[:, :1] if first_token else x, self._weight, self._bias)


@frozen(kw_only=True, eq=False)
class FixedBranch:
    """A branch of a linear map whose weight is quantized already."""

    weight: Codes | Tensor  #: (O, I), levels or values
    bias: Tensor  #: (O,)
    quantizer: Quantizer | None  #: of the input

    @classmethod
    def of(cls, branch: LinearBranch, *, exact: bool) -> Self:
        """A branch; its weight as levels if `exact` and the input is quantized too."""
        weight, quantizer = branch.weight_quantizer, branch.input_quantizer
        if exact and weight is not None and quantizer is not None:
            return cls(weight=weight.encode(branch.weight), bias=branch.bias.detach(), quantizer=quantizer)
        return cls(weight=branch.quantized_weight().detach(), bias=branch.bias.detach(), quantizer=quantizer)

    def values(self) -> Tensor:
        """The weight that multiplies."""
        return self.weight.decode() if isinstance(self.weight, Codes) else self.weight


class FixedLinear(nn.Module):
    """A sum of linear maps whose weights are quantized already; branches with equal inputs share one product."""

    def __init__(self, branches: Sequence[FixedBranch], dtype: torch.dtype | None = None) -> None:
        super().__init__()
        weights = [branch.values() for branch in branches]
        total = reduce(torch.add, weights)
        self._weights, self._total = [_cast(weight, dtype) for weight in weights], _cast(total, dtype)
        self._bias = reduce(torch.add, [branch.bias for branch in branches])
        quantizers = [branch.quantizer for branch in branches if branch.quantizer is not None]
        self.quantizes_input = bool(quantizers)
        self.input_quantizers = nn.ModuleList(quantizers)
        self._jointly = supports_branches(quantizers)

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The sum over the branches."""
        quantizers: list[Quantizer] = [*self.input_quantizers]
        inputs = quantize_inputs(quantizers, x, jointly=self._jointly)
        if first_token:
            inputs = [quantized[:, :1] for quantized in inputs]
        if len(inputs) == 1:
            return F.linear(inputs[0], self._total, self._bias)
        return sum_products(inputs, self._weights, self._bias)


class LevelsLinear(nn.Module, ABC, Generic[Converted]):
    """A sum of linear maps of levels, one for each branch: sums of integers, which are exact, then scales and biases.

    A subclass says in what form it multiplies inputs, and how.
    Shape: (..., I) -> (..., O).
    """

    quantizes_input = True

    def __init__(self, quantizers: Sequence[Quantizer]) -> None:
        super().__init__()
        self.input_quantizers = nn.ModuleList(quantizers)
        self._jointly = isinstance(quantizers[0], SupportsBranchCodes)

    @abstractmethod
    def convert(self, codes: Codes, first_token: bool) -> Converted:
        """Rows of a quantized input in the form that is multiplied; branches with equal codes share it."""

    @abstractmethod
    def add_product(self, branch: int, inputs: Converted, total: Tensor | None) -> Tensor:
        """The product of a branch (N, O) with its bias, added to `total` in place if given."""

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The sum over the branches."""
        total = self.multiply(self._encode(x), first_token)
        shape = (x.shape[0], 1) if first_token else x.shape[:-1]
        return total.reshape(*shape, -1)

    def multiply(self, encoded: Sequence[Codes], first_token: bool = False) -> Tensor:
        """The sum over the branches, (N, O), of the codes of their inputs (..., I); equal ones may be one object."""
        distinct = {id(codes): codes for codes in encoded}
        inputs = {key: self.convert(codes, first_token) for key, codes in distinct.items()}
        total: Tensor | None = None
        for branch, codes in enumerate(encoded):
            total = self.add_product(branch, inputs[id(codes)], total)
        if total is None:
            raise AssertionError("a linear map has a branch")
        return total

    def _encode(self, x: Tensor) -> list[Codes]:
        first, *others = quantizers = cast("list[Quantizer]", [*self.input_quantizers])
        if self._jointly:
            return cast("SupportsBranchCodes", first).encode_branches(others, x)
        return [quantizer.encode(x) for quantizer in quantizers]


class IntegerLinear(LevelsLinear[IntegerInput]):
    """A sum of linear maps of levels, multiplied by torch."""

    def __init__(
        self, weights: Sequence[IntegerWeight], biases: Sequence[Tensor], quantizers: Sequence[Quantizer]
    ) -> None:
        super().__init__(quantizers)
        self.weights, self.biases = weights, biases

    def convert(self, codes: Codes, first_token: bool) -> IntegerInput:
        """In the dtype that the weights multiply, which is that of all branches."""
        return self.weights[0].input_of(codes, first_token)

    def add_product(self, branch: int, inputs: IntegerInput, total: Tensor | None) -> Tensor:
        """By the weight of the branch."""
        return self.weights[branch].linear(inputs, self.biases[branch], total)


class ExactLinear(Linear):
    """An ordinary linear map whose sums are of float64, rounded once."""

    @classmethod
    def of(cls, linear: Linear) -> Self:
        """The same linear map, with the same parameters."""
        return _with_class(cls, linear)

    def forward(self, x: Tensor, first_token: bool = False) -> Tensor:
        """The product plus the bias."""
        rows = (x[:, :1] if first_token else x).double()
        return F.linear(rows, self.weight.double(), self.bias.double()).to(x.dtype)


class ExactLayerNorm(nn.LayerNorm):
    """LayerNorm in float64, rounded once.

    Shape: (..., H) -> (..., H).
    """

    @classmethod
    def of(cls, norm: nn.LayerNorm) -> Self:
        """The same LayerNorm, with the same parameters."""
        return _with_class(cls, norm)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized rows."""
        weight, bias = self.weight.double(), self.bias.double()
        return F.layer_norm(x.double(), self.normalized_shape, weight, bias, self.eps).to(x.dtype)


class ExactAttention(SelfAttention):
    """Self-attention whose products are sums of integers, or of float64 where there are none, rounded once."""

    fuses = False

    @classmethod
    def of(cls, attention: SelfAttention) -> Self:
        """The same attention, with the same modules."""
        return _with_class(cls, attention)

    def _quantized_scores(self, q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
        left, right = self._encode(Site.ATTENTION_QUERY, q), self._encode(Site.ATTENTION_KEY, k)
        return self._exactly_scaled(left, right, mask)

    def _weighted_values(self, probabilities: Tensor, v: Tensor) -> Tensor:
        weights = self._encode(Site.ATTENTION_PROBABILITIES, probabilities)
        return exact_product(weights, self._encode(Site.ATTENTION_VALUE, v))

    def _multiply(self, left: Tensor, right: Tensor) -> Tensor:
        if self._unscaled >= {*ATTENTION_SITES}:
            return left @ right
        return exact_product(left, right)

    def _scores(self, q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
        if self._unscaled >= {Site.ATTENTION_QUERY, Site.ATTENTION_KEY}:
            return super()._scores(q, k, mask)
        return self._exactly_scaled(q, k, mask)

    def _exactly_scaled(self, q: Codes | Tensor, k: Codes | Tensor, mask: Tensor) -> Tensor:
        return exact_product(q, k, transpose=True).mul_(1 / math.sqrt(self.head_size)).add_(mask)

    def _encode(self, site: Site, x: Tensor) -> Codes | Tensor:
        return cast("Quantizer", self.quantizers[site]).encode(x) if site in self.quantizers else x


class FixedEmbedding(nn.Module):
    """A branch of a word embedding whose table is quantized already."""

    def __init__(self, branch: EmbeddingBranch) -> None:
        super().__init__()
        self._table = branch.weight if branch.weight_quantizer is None else branch.weight_quantizer(branch.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """The rows of the tokens, (..., H)."""
        return F.embedding(tokens, self._table, PADDING)


def fixed_linear(branches: Sequence[FixedBranch], dtype: torch.dtype | None = None) -> nn.Module:
    """A linear map with fixed weights: of integers where every branch has levels, else of floats."""
    operands = [
        (branch.weight, branch.quantizer)
        for branch in branches
        if isinstance(branch.weight, Codes) and branch.quantizer is not None
    ]
    weights = None
    if len(operands) == len(branches):
        weights = integer_weights([codes for codes, _ in operands], [quantizer.alphabet for _, quantizer in operands])
    if weights is None:
        return FixedLinear(branches, dtype)
    return IntegerLinear(weights, [branch.bias for branch in branches], [quantizer for _, quantizer in operands])


def _cast(weight: Tensor, dtype: torch.dtype | None) -> Tensor:
    return weight if dtype is None else weight.to(dtype)


def _with_class(cls: type[T], module: nn.Module) -> T:
    """A module as one of a subclass of its class."""
    twin = object.__new__(cls)
    vars(twin).update(vars(module))
    return twin
