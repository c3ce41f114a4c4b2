"""Linear maps: ordinary, or as a sum of quantized branches."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.model.int8 import MOST_BITS, IntegerInput, IntegerWeight, large_enough_for_int8


class Linear(nn.Linear):
    """y = x W^T + b with W and b zero until tensors are loaded: building a model draws no random numbers.

    Shape: (..., I) -> (..., O).
    """

    quantizes_input = False
    #: the weight in another dtype, kept while weights do not change, see `inference/frozen.py`
    frozen: Tensor | None = None

    def reset_parameters(self) -> None:
        """Fill with zeros."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, first_only: bool = False) -> Tensor:
        """The product and the bias; of (B, T, I), if told, for the first token of each sentence: (B, 1, O)."""
        return F.linear(wanted_tokens(x, first_only), self.weight if self.frozen is None else self.frozen, self.bias)

    def freeze(self, dtype: torch.dtype | None = None) -> None:
        """Keep the weight in a dtype until `thaw`."""
        fixed = dtype is not None and not self.weight.is_meta  # a sub-network has the weights of another model
        self.frozen = self.weight.detach().to(dtype) if fixed else None

    def thaw(self) -> None:
        """Use the weight itself again."""
        self.frozen = None


class LinearBranch(nn.Module):
    """The latent weight, bias and quantizers of one summand of a quantized linear map."""

    def __init__(
        self, inputs: int, outputs: int, weight_options: QuantizerOptions | None, input_options: QuantizerOptions | None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_quantizer = build(weight_options, self.weight.shape)
        self.input_quantizer = build(input_options, torch.Size([inputs]))

    def quantized_weight(self) -> Tensor:
        """The weight that multiplies, (O, I)."""
        return self.weight if self.weight_quantizer is None else self.weight_quantizer(self.weight)

    @property
    def int8_eligible(self) -> bool:
        """Whether products may be of whole numbers, as far as that is known before the weight is quantized."""
        quantizers = self.weight_quantizer, self.input_quantizer
        few = all(one is not None and one.bits <= MOST_BITS for one in quantizers)
        return few and large_enough_for_int8(self.weight)

    def integer_weight(self) -> IntegerWeight | None:
        """The weight in whole numbers; None where its products cannot be of those."""
        if self.weight_quantizer is None or not self.int8_eligible:
            return None
        return IntegerWeight.of(self.weight_quantizer.encode(self.weight))


class QuantizedLinear(nn.Module):
    """A sum of linear maps of the same input, each with an own weight, bias and quantizers.

    y = sum over branches k of q_x,k(x) q_w,k(W_k)^T + b_k.
    Shape: (..., I) -> (..., O).
    Gradient: what the quantizers make of it.
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
        #: quantized weights of the branches, and their sum, kept while weights do not change, see `inference/frozen.py`
        self.frozen: tuple[list[Tensor], Tensor] | None = None
        #: the same weights in whole numbers, in their place where products can be of those
        self.integers: list[IntegerWeight] | None = None
        self.branches = nn.ModuleList(
            LinearBranch(inputs, outputs, weight_options, input_options) for _ in range(branches)
        )

    def forward(self, x: Tensor, first_only: bool = False) -> Tensor:
        """The sum over the branches; of (B, T, I), if told, for the first token of each sentence: (B, 1, O).

        Inputs are quantized together all the same.
        """
        if self.integers is not None:
            return self._whole(x, self.integers, first_only)
        branches: list[LinearBranch] = [*self.branches]
        biases: list[Tensor] = [branch.bias for branch in branches]
        bias = reduce(torch.add, biases)
        weights, total = self.frozen or ([branch.quantized_weight() for branch in branches], None)
        inputs = [wanted_tokens(one, first_only) for one in self._inputs(x)]
        if len(inputs) == 1:
            return F.linear(inputs[0], reduce(torch.add, weights) if total is None else total, bias)
        # each product is added to the sum so far in place of a bias: no pass over the outputs of its own
        y = bias
        for quantized, weight in zip(inputs, weights, strict=True):
            left, right = _autocast(quantized.flatten(0, -2)), _autocast(weight.t())
            in_place = y.ndim == 2 and y.dtype is left.dtype is right.dtype
            y = (torch.Tensor.addmm_ if in_place else torch.addmm)(y, left, right)
        return y.view(*inputs[0].shape[:-1], len(bias))

    def _inputs(self, x: Tensor) -> list[Tensor]:
        """What each branch multiplies; a single one where that is the same for all: they take one product then."""
        if not self.quantizes_input:
            return [x]
        first, *others = self._input_quantizers()
        inputs = first.forward_branches(others, x)
        return inputs[:1] if all(one is inputs[0] for one in inputs) else inputs

    def _input_quantizers(self) -> list[Quantizer]:
        branches: list[LinearBranch] = [*self.branches]
        return [branch.input_quantizer for branch in branches if branch.input_quantizer is not None]

    def _whole(self, x: Tensor, weights: list[IntegerWeight], first_only: bool) -> Tensor:
        """The sum over the branches, of products of whole numbers."""
        branches: list[LinearBranch] = [*self.branches]
        first, *others = self._input_quantizers()
        found = first.encode_branches(others, x)
        different = {id(codes): codes for codes in found}
        inputs = {known: IntegerInput.of(codes, first_only) for known, codes in different.items()}
        total: Tensor | None = None
        for branch, weight, codes in zip(branches, weights, found, strict=True):
            total = weight.linear(inputs[id(codes)], branch.bias.detach(), total)
        return total.view(*wanted_tokens(x, first_only).shape[:-1], -1)  # type: ignore[union-attr] # there is a branch

    def freeze(self, dtype: torch.dtype | None = None, *, integers: bool = False) -> None:
        """Keep the quantized weights until `thaw`: they and their sum, in a dtype if told, or in whole numbers."""
        branches: list[LinearBranch] = [*self.branches]
        packed = [branch.integer_weight() for branch in branches] if integers else []
        whole = [weight for weight in packed if weight is not None]
        if len(whole) == len(branches):
            self.integers = whole
            return
        weights = [branch.quantized_weight().detach() for branch in branches]
        kept = [reduce(torch.add, weights), *weights] if len(weights) > 1 else weights
        total, *parts = kept if dtype is None else [weight.to(dtype) for weight in kept]
        self.frozen = parts or [total], total

    def thaw(self) -> None:
        """Quantize in every pass again."""
        self.frozen = self.integers = None


def build(options: QuantizerOptions | None, shape: torch.Size) -> Quantizer | None:
    """The quantizer of a site in main memory, also in a model without memory; None where the site has none."""
    if options is None:
        return None
    with torch.device("cpu"):
        return options.build(shape)


def _autocast(x: Tensor) -> Tensor:
    """x as autocast gives it to a product; it would not do so for one in place."""
    device = x.device.type
    if x.dtype is not torch.float32 or not torch.is_autocast_enabled(device):
        return x
    return x.to(torch.get_autocast_dtype(device))


def wanted_tokens(x: Tensor, first_only: bool) -> Tensor:
    """All tokens, or the first one of each sentence."""
    return x[:, :1] if first_only else x
