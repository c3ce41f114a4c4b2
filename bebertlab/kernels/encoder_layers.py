"""The layers of an encoder of signs, and their packing into records of numbers and addresses."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.kernels.emit import WORD
from bebertlab.kernels.emit_attention import SUM_OFFSET
from bebertlab.kernels.emit_encoder import LAYER_FIELDS
from bebertlab.kernels.layout import WeightTiles, aligned_empty, padded_words, round_up
from bebertlab.kernels.selection import SoftmaxSelection
from bebertlab.kernels.thresholds import SIGN_RULE, BitRule, FloatArray, count_thresholds, has_two_sides, sum_thresholds

_NORM = np.dtype([("gamma", "f8"), ("beta", "f8"), ("shift", "f4"), ("unused", "f4")])
_SCALES = np.dtype([("scale", "f4"), ("bias", "f4"), ("start", "i4")])
_ONE = np.float32(1)
_Number = TypeVar("_Number", bound=np.generic)


@frozen(eq=False)
class SignLinear:
    """A linear map of signs: y = sum * scale + bias in float32, with the exact sum of products of levels."""

    planes: NDArray[np.uint8]  #: (rows, bytes): bit j of byte i is 1 where the weight of column 8 i + j is +1
    scale: FloatArray  #: (rows,), the step of the weights times that of the inputs
    bias: FloatArray  #: (rows,)
    zero_one: bool = False  #: inputs are 0 and 1, not -1 and +1

    def starts(self, columns: int) -> NDArray[np.int64]:
        """For each row a number s: the sum is `s - 2 count`, count the bits of inputs and weights that differ.

        Where inputs are 0 and 1 that is twice the sum, whose scale is half of the scale (`scale_of_starts`).
        """
        if not self.zero_one:
            return np.full(len(self.bias), columns)
        bits: NDArray[np.int64] = np.bitwise_count(self.planes).sum(1, dtype=np.int64)
        return 2 * bits

    def scale_of_starts(self) -> FloatArray:
        """The scale of `starts - 2 count`.

        Raises:
            ValueError: a scale is so small that its half is rounded.
        """
        if not self.zero_one:
            return self.scale
        half = self.scale / np.float32(2)
        if not bool((half * np.float32(2) == self.scale).all()):
            raise ValueError("a scale is too small to be halved")
        return half


@frozen(eq=False)
class NormParameters:
    """gamma and beta of a LayerNorm, (hidden,)."""

    gamma: FloatArray
    beta: FloatArray


@frozen(eq=False, kw_only=True)
class SignLayer:
    """A layer of a BERT encoder; the inputs of query, key, value and up are signs, x + shift >= 0."""

    query: SignLinear
    key: SignLinear
    value: SignLinear
    output: SignLinear
    attention_norm: NormParameters
    up: SignLinear
    down: SignLinear
    output_norm: NormParameters
    query_shift: FloatArray | None = None  #: (hidden,), of the inputs of query
    key_shift: FloatArray | None = None
    value_shift: FloatArray | None = None
    up_shift: FloatArray | None = None
    query_rule: BitRule = SIGN_RULE  #: the bits of the results of query
    key_rule: BitRule = SIGN_RULE
    value_rule: BitRule = SIGN_RULE
    up_rule: BitRule = SIGN_RULE  #: of the inputs of down, from the results of up
    context_rule: BitRule | None = None  #: of the inputs of output, from contexts; None: the signs of the sums
    context_scale: np.float32 = _ONE  #: a context is the sum of the signs of selected values times this
    softmax: SoftmaxSelection | None = None  #: None: keys are selected by the sums of products of signs


class LayerPacker:
    """Packs layers, and keeps the arrays whose addresses are in their records."""

    def __init__(self, hidden: int, context: int, ffn: int, heads: int, head_size: int) -> None:
        self.arrays: list[NDArray[np.generic]] = []
        self.padded_hidden, self._padded_ffn = padded_words(hidden) * WORD, padded_words(ffn) * WORD
        self._inputs, self._ffn, self._head_size = hidden, ffn, head_size
        #: the position of each feature of the context, whose heads take whole words
        spread = np.arange(heads)[:, None] * round_up(head_size, WORD) + np.arange(head_size)
        self._context = spread.reshape(-1)
        self._padded_context = heads * round_up(head_size, WORD)

    def keep(self, array: NDArray[np.generic]) -> int:
        """The address of an array that is kept, aligned."""
        copy = aligned_empty(array.shape, array.dtype)
        copy[...] = array
        self.arrays.append(copy)
        return int(copy.ctypes.data)

    def shifts(self, shift: FloatArray | None) -> FloatArray:
        """Of all features: none is -0.0, and those that are padding become negative, so that their bits are 0."""
        padded = np.full(self.padded_hidden, -1, np.float32)
        padded[: self._inputs] = 0 if shift is None else shift + np.float32(0)
        return padded

    def layer(self, layer: SignLayer, after: SignLayer | None) -> list[int]:
        """The record of a layer; `after` reads its output.

        Raises:
            ValueError: comparisons of integers cannot decide a bit.
        """
        rows = np.arange(self._padded_ffn)[: self._ffn]
        fields: dict[str, int] = {}
        for part, linear, rule in (
            ("query", layer.query, layer.query_rule),
            ("key", layer.key, layer.key_rule),
            ("value", layer.value, layer.value_rule),
        ):
            fields |= self._decided(part, linear, self._context, self._padded_context, rule)
        fields |= self._decided("up", layer.up, rows, self._padded_ffn, layer.up_rule)
        fields |= self._scaled("output", layer.output, self._context, layer.attention_norm, layer.up_shift)
        shift = None if after is None else after.query_shift
        fields |= self._scaled("down", layer.down, rows, layer.output_norm, shift)
        fields |= self._attention(layer)
        return [fields[name] for name in LAYER_FIELDS]

    def _attention(self, layer: SignLayer) -> dict[str, int]:
        own = self.shifts(layer.query_shift)
        names = ("score_step", "score_factor", "border", "context_thresholds", "sum_limits", "exponent")
        fields = dict.fromkeys(names, 0)
        for part, shift in (("key", layer.key_shift), ("value", layer.value_shift)):
            other = self.shifts(shift)
            fields[f"{part}_shifts"] = 0 if np.array_equal(own, other) else self.keep(other)
        rule = layer.context_rule
        if layer.softmax is not None:
            rule = SIGN_RULE if rule is None else rule
            above = np.nextafter(layer.softmax.border, np.float32(-np.inf))  # the code compares by "greater than"
            fields["score_step"], fields["score_factor"] = _bits(layer.softmax.step), _bits(layer.softmax.factor)
            fields["border"], fields["exponent"] = _bits(above), _bits(layer.softmax.exponent)
            limits = layer.softmax.sum_limits(self._head_size)
            fields["sum_limits"] = 0 if limits is None else self.keep(limits)
        if rule is not None:
            thresholds = np.zeros(self._padded_context, np.int32)
            thresholds[self._context] = sum_thresholds(layer.context_scale, len(self._context), rule)
            fields["context_thresholds"] = self.keep(thresholds + np.int32(SUM_OFFSET + 1))
        return fields

    def _decided(
        self, part: str, linear: SignLinear, positions: NDArray[np.intp], padded: int, rule: BitRule
    ) -> dict[str, int]:
        """A map whose results are bits; row i is computed at `positions[i]`, the bits of the other rows are 0."""
        planes = np.zeros((padded, linear.planes.shape[1]), np.uint8)
        planes[positions] = linear.planes
        thresholds = np.zeros((padded, 2), np.int32)
        thresholds[:, 1] = np.iinfo(np.int32).max
        scale, starts = linear.scale_of_starts(), linear.starts(self._inputs)
        thresholds[positions] = count_thresholds(scale, linear.bias, self._inputs, rule, starts)
        if part != "value":
            planes, thresholds = _reversed_words(planes), _reversed_words(thresholds)
        return {
            f"{part}_weights": self._weights(planes, self._inputs),
            f"{part}_thresholds": self.keep(thresholds),
            f"{part}_two": int(has_two_sides(thresholds, self._inputs)),
        }

    def _scaled(
        self,
        part: str,
        linear: SignLinear,
        positions: NDArray[np.intp],
        norm: NormParameters,
        shift: FloatArray | None,
    ) -> dict[str, int]:
        """A map whose results are added to the residual; column i of its inputs is at `positions[i]`."""
        columns = int(positions[-1]) + 1
        planes = linear.planes if columns == len(positions) else _spread_columns(linear.planes, positions)
        padded = np.zeros((self.padded_hidden, planes.shape[1]), np.uint8)
        padded[: self._inputs] = planes
        scales = np.zeros(self.padded_hidden, _SCALES)
        scales["scale"][: self._inputs], scales["bias"][: self._inputs] = linear.scale_of_starts(), linear.bias
        # where the columns are spread, the bits between them are 0 in inputs and weights
        scales["start"][: self._inputs] = linear.starts(len(positions))
        constants = np.zeros(self.padded_hidden, _NORM)
        constants["gamma"][: self._inputs], constants["beta"][: self._inputs] = norm.gamma, norm.beta
        constants["shift"] = self.shifts(shift)
        return {
            f"{part}_weights": self._weights(padded, columns),
            f"{part}_scales": self.keep(scales),
            f"{part}_norm": self.keep(constants),
        }

    def _weights(self, planes: NDArray[np.uint8], columns: int) -> int:
        return self.keep(WeightTiles.of_planes(planes[:, None], columns, -1, 2).words)


def _bits(number: np.float32) -> int:
    return int(np.float32(number).view(np.int32))


def _reversed_words(rows: NDArray[_Number]) -> NDArray[_Number]:
    """Rows in the order in which they become bits: from the highest of a word to the lowest."""
    return rows.reshape(-1, WORD, rows.shape[1])[:, ::-1].reshape(rows.shape)


def _spread_columns(planes: NDArray[np.uint8], positions: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Planes with column i at `positions[i]`, and zeros elsewhere."""
    spread = np.zeros((len(planes), int(positions[-1]) + 1), np.uint8)
    spread[:, positions] = np.unpackbits(planes, axis=1, bitorder="little")[:, : len(positions)]
    return np.packbits(spread, axis=1, bitorder="little")
