"""Linear maps of a model of levels: products of all maps that read the same values, then scales and biases of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self, cast

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.integers import FloatWeight, Int8Weight, IntegerWeight
from bebertlab.inference.modules import IntegerLinear, LevelsLinear
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.kernels.emit_finish import Branch
from bebertlab.packed.level_values import FLOAT_BYTES, InputQuantizer, LevelRows, Values
from bebertlab.packed.modules import PackedLinear, PackedMatrix
from bebertlab.packed.tile_weight import TileWeight


class LinearOutputs(NamedTuple):
    """What a linear map gives: sums of products that are not scaled yet, or its result."""

    branches: Sequence[Branch]
    memory: Tensor | None  #: (N, O), contiguous: the result, or where there are branches, memory that it may be put in
    kept: object  #: what the branches point to


@frozen(eq=False)
class _Branch:
    """A branch of a linear map whose products are sums of integers."""

    weight: IntegerWeight
    bias: Tensor  #: (O,)
    quantizer: Quantizer
    matrix: PackedMatrix

    @classmethod
    def of(cls, linear: IntegerLinear, packed: PackedLinear) -> list[Self]:
        """The branches of a linear map."""
        quantizers = cast("list[Quantizer]", [*linear.input_quantizers])
        matrices = cast("list[PackedMatrix]", [*packed.matrices])
        parts = zip(linear.weights, linear.biases, quantizers, matrices, strict=True)
        return [cls(weight, bias.contiguous(), quantizer, matrix) for weight, bias, quantizer, matrix in parts]

    def can_join(self, other: _Branch) -> bool:
        """Whether a product of both has the same levels and the same kind of weight."""
        return self._kind == other._kind and always_equal(self.quantizer, other.quantizer)

    @property
    def _kind(self) -> object:
        if isinstance(self.weight, TileWeight):
            return self.weight.kind
        return self.weight.transposed.dtype if isinstance(self.weight, FloatWeight) else type(self.weight)


@frozen(eq=False)
class _Product:
    """Weights, one below the other, that multiply the same levels."""

    quantizer: InputQuantizer
    weight: IntegerWeight

    @classmethod
    def of(cls, branches: Sequence[_Branch]) -> Self:
        """Of branches of one kind of weight, whose inputs are always quantized equally."""
        weight = branches[0].weight if len(branches) == 1 else _joined(branches)
        return cls(InputQuantizer.of(branches[0].quantizer), weight)


@frozen(eq=False)
class _Term:
    """A branch of a linear map: where its sums are, and how they are scaled."""

    product: int
    start: int  #: of its columns in a row of the product, bytes
    stride: int  #: bytes of a row
    alone: bool  #: in the product
    addresses: tuple[int, int, int]  #: of the scales, biases and sums of weights
    kept: tuple[Tensor, ...]  #: what the addresses point to

    def branch(self, inputs: LevelRows, counts: Tensor) -> Branch:
        """The branch of sums of products with an input."""
        return Branch(counts.data_ptr() + self.start, self.stride, *self.addresses, *inputs.scales)


class LevelLinears:
    """Linear maps of the same values; branches whose inputs are always quantized equally are one product.

    A map whose products are not sums of integers that torch multiplies computes its result itself.
    """

    def __init__(self, linears: Sequence[nn.Module], packed: Mapping[nn.Module, PackedLinear]) -> None:
        """Of prepared maps; `packed` has the levels that are read where products are joined."""
        products: list[list[_Branch]] = []
        positions = [
            [_join(branch, products) for branch in _Branch.of(linear, packed[linear])]
            if isinstance(linear, IntegerLinear) and linear in packed
            else []
            for linear in linears
        ]
        self._products = [_Product.of(branches) for branches in products]
        self._terms = [[_term(position, products) for position in of_linear] for of_linear in positions]
        #: maps that compute their results; None: a product does
        self._others = [None if terms else linear for linear, terms in zip(linears, self._terms, strict=True)]
        self._quantizers = [_input_quantizers(linear) for linear in self._others]
        self.replaced = [linear for linear, terms in zip(linears, self._terms, strict=True) if terms]

    @property
    def shift(self) -> Tensor | None:
        """What the first quantizer adds to its input."""
        first = [product.quantizer for product in self._products] or [
            quantizer for quantizers in self._quantizers for quantizer in quantizers
        ]
        return first[0].shift if first else None

    def __call__(self, x: Values, first_token: bool = False) -> list[LinearOutputs]:
        """The products of each map; `first_token`: of the first token of each sentence."""
        inputs, sums = [], []
        for product in self._products:
            rows = x.rows(product.quantizer, product.weight, first_token)
            inputs.append(rows)
            sums.append(product.weight.count(rows.levels, rows.zero))
        outputs = []
        for other, terms, quantizers in zip(self._others, self._terms, self._quantizers, strict=True):
            if other is None:
                branches = [term.branch(inputs[term.product], sums[term.product]) for term in terms]
                outputs.append(LinearOutputs(branches, _memory(terms, sums), (inputs, sums)))
            else:
                outputs.append(LinearOutputs((), _result(other, quantizers, x, first_token), None))
        return outputs


def _memory(terms: Sequence[_Term], sums: Sequence[Tensor]) -> Tensor | None:
    """The sums of a map that has a product to itself: they are read once, and their memory is in the cache."""
    first = terms[0]
    return sums[first.product] if len(terms) == 1 and first.alone else None


def always_equal(first: Quantizer, second: Quantizer) -> bool:
    """Whether quantizers of a prepared model are equal, their options and their tensors."""
    if first is second:
        return True
    if type(first) is not type(second) or _options(first) != _options(second):
        return False
    states = first.state_dict(), second.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def _options(quantizer: Quantizer) -> dict[str, object]:
    tensors = {"_parameters", "_buffers", "_modules"}
    return {name: value for name, value in vars(quantizer).items() if name not in tensors}


class _Position(NamedTuple):
    branch: _Branch
    product: int
    column: int


def _join(branch: _Branch, products: list[list[_Branch]]) -> _Position:
    """Add a branch to a product that it can be joined with, or to a new one."""
    index = next((index for index, branches in enumerate(products) if branch.can_join(branches[0])), len(products))
    if index == len(products):
        products.append([])
    column = sum(len(other.bias) for other in products[index])
    products[index].append(branch)
    return _Position(branch, index, column)


def _term(position: _Position, products: Sequence[Sequence[_Branch]]) -> _Term:
    columns = sum(len(branch.bias) for branch in products[position.product])
    kept = position.branch.weight.scales.contiguous(), position.branch.bias, position.branch.weight.sums.contiguous()
    scales, bias, sums = (tensor.data_ptr() for tensor in kept)
    alone = len(products[position.product]) == 1
    addresses = scales, bias, sums
    return _Term(position.product, position.column * FLOAT_BYTES, columns * FLOAT_BYTES, alone, addresses, kept)


def _joined(branches: Sequence[_Branch]) -> IntegerWeight:
    weights = [branch.weight for branch in branches]
    tiles = [weight for weight in weights if isinstance(weight, TileWeight)]
    if len(tiles) == len(weights):
        return TileWeight.joined(tiles)
    int8 = [weight for weight in weights if isinstance(weight, Int8Weight)]
    if len(int8) == len(weights):
        return Int8Weight.joined(int8, [branch.matrix.codes().levels for branch in branches])
    return FloatWeight.joined([weight for weight in weights if isinstance(weight, FloatWeight)])


def _input_quantizers(linear: nn.Module | None) -> list[InputQuantizer]:
    """Of a map of levels."""
    if not isinstance(linear, LevelsLinear):
        return []
    return [InputQuantizer.of(quantizer) for quantizer in cast("list[Quantizer]", [*linear.input_quantizers])]


def _result(linear: nn.Module, quantizers: Sequence[InputQuantizer], x: Values, first_token: bool) -> Tensor:
    if isinstance(linear, LevelsLinear):
        return linear.multiply([x.codes(quantizer) for quantizer in quantizers], first_token).contiguous()
    result: Tensor = linear(x.tensor, first_token)
    return result.flatten(0, -2).contiguous()
