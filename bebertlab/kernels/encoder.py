"""A whole encoder whose weights, inputs and attention are signs, for sentences of any lengths."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TypeVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels, load_kernels
from bebertlab.kernels.emit import ROWS, TOKENS, WORD
from bebertlab.kernels.emit_encoder import CALL_FIELDS, LAYER_FIELDS, MODEL_FIELDS
from bebertlab.kernels.layout import WeightTiles, aligned_empty, aligned_zeros, block_count, padded_words, round_up
from bebertlab.kernels.thresholds import BitRule, count_thresholds, has_two_sides

FloatArray = NDArray[np.float32]
_NORM = np.dtype([("gamma", "f8"), ("beta", "f8"), ("shift", "f4"), ("unused", "f4")])
_Number = TypeVar("_Number", bound=np.generic)

#: sentences are computed together up to so many tokens: their weights are read once, their states stay in the cache
_CHUNK_TOKENS = 256


@frozen(eq=False)
class SignLinear:
    """A linear map of signs: y = count * scale + bias in float32, with the exact sum of products of signs as count."""

    planes: NDArray[np.uint8]  #: (rows, bytes): bit j of byte i is 1 where the weight of column 8 i + j is +1
    scale: FloatArray  #: (rows,), the step of the weights times that of the inputs
    bias: FloatArray  #: (rows,)


@frozen(eq=False)
class NormParameters:
    """gamma and beta of a LayerNorm, (hidden,)."""

    gamma: FloatArray
    beta: FloatArray


@frozen(eq=False, kw_only=True)
class SignLayer:
    """A layer of a BERT encoder; the inputs of its linear maps are signs, x + shift >= 0."""

    query: SignLinear
    key: SignLinear
    value: SignLinear
    output: SignLinear
    attention_norm: NormParameters
    up: SignLinear
    down: SignLinear
    output_norm: NormParameters
    attention_shift: FloatArray | None = None  #: (hidden,), of the inputs of query, key and value
    up_shift: FloatArray | None = None  #: (hidden,)
    activation: BitRule | None = None  #: the sign of the activation of a result of `up`; None: that of the result


@frozen(eq=False, kw_only=True)
class SignEncoder:
    """Computes hidden states; may be called from several threads at once, and releases the GIL.

    Every operation in float32 is rounded on its own, and LayerNorm is computed in float64 and rounded once: results do
    not depend on the CPU or on what else is in a call. The attention has no softmax: a query sums the signs of the
    values of the keys whose scores are positive, scores being exact sums of products of signs.
    """

    kernels: Kernels
    hidden: int  #: features of a hidden state
    record: NDArray[np.int64]  #: sizes and addresses, `MODEL_FIELDS`
    arrays: tuple[NDArray[np.generic], ...]  #: what the addresses point to
    _buffers: deque[_Buffers] = field(factory=deque, init=False)  #: that no call uses at the moment

    @classmethod
    def of(
        cls,
        layers: Sequence[SignLayer],
        heads: int,
        epsilon: float,
        *,
        select_zero: bool = False,
        kernels: Kernels | None = None,
    ) -> SignEncoder:
        """Pack an encoder.

        Args:
            layers: at least one, all of the same sizes.
            heads: of attention, among which the rows of `query` are divided.
            epsilon: of every LayerNorm.
            select_zero: whether a key whose score is 0 is selected.
            kernels: of the family "encoder"; those of this machine by default.
        """
        first = layers[0]
        hidden, context, ffn = len(first.output.bias), len(first.query.bias), len(first.up.bias)
        head_size = context // heads
        head_words = -(-head_size // WORD)
        packer = _Packer(hidden, context, ffn, heads, head_size)
        records = np.array(
            [packer.layer(layer, after) for layer, after in zip(layers, [*layers[1:], None], strict=True)]
        )
        shifts = packer.keep(packer.shifts(first.attention_shift))
        values = {
            "layers": len(layers),
            "layer_records": records.ctypes.data,
            "shifts": shifts,
            "hidden": hidden,
            "hidden_words": padded_words(hidden),
            "context": context,
            "context_words": padded_words(heads * head_words * WORD),
            "ffn": ffn,
            "ffn_words": padded_words(ffn),
            "heads": heads,
            "head_size": head_size,
            "head_words": head_words,
            "limit": head_size // 2 + 1 if select_zero else (head_size + 1) // 2,
            "epsilon": int(np.float64(epsilon).view(np.int64)),
        }
        record = np.array([values[name] for name in MODEL_FIELDS], np.int64)
        kernels = load_kernels("encoder") if kernels is None else kernels
        return cls(kernels=kernels, hidden=hidden, record=record, arrays=(records, *packer.arrays))

    def __deepcopy__(self, memo: dict[int, object]) -> SignEncoder:
        """The encoder itself: it does not change, and its record has the addresses of its arrays."""
        return self

    def __call__(
        self, hidden: FloatArray, lengths: Sequence[int], *, first_token: bool = True, threads: int = 1
    ) -> FloatArray:
        """The last hidden states of sentences: of their first tokens (sentences, hidden), or of all (tokens, hidden).

        Args:
            hidden: states of the tokens of all sentences, one after the other, (tokens, hidden).
            lengths: of the sentences, in tokens, each at least 1.
            first_token: compute the last layer for the first token of each sentence only.
            threads: that share the sentences; each sentence is computed by one.
        """
        if hidden.shape != (sum(lengths), self.hidden) or min(lengths, default=0) < 1:
            raise ValueError(f"lengths must be positive and add up to the tokens of hidden, {hidden.shape}: {lengths}")
        out = np.empty((len(lengths) if first_token else len(hidden), self.hidden), np.float32)
        calls = []
        token = sentence = 0
        for chunk in _chunks(lengths, min(_CHUNK_TOKENS, -(-len(hidden) // threads))):
            tokens = sum(chunk)
            result = out[sentence : sentence + len(chunk)] if first_token else out[token : token + tokens]
            calls.append(partial(self._encode, hidden[token : token + tokens], chunk, result, first_token))
            token, sentence = token + tokens, sentence + len(chunk)
        _run(calls, threads)
        return out

    def _encode(self, hidden: FloatArray, lengths: Sequence[int], out: FloatArray, first_token: bool) -> None:
        tokens = len(hidden)
        buffers = self._take_buffers(block_count(tokens))
        try:
            visible, selected = _visible_keys(tuple(lengths))
            buffers.source[:tokens, : self.hidden] = hidden
            values = buffers.addresses | {
                "blocks": block_count(tokens),
                "key_words": visible.words.shape[1],
                "visible": visible.words.ctypes.data,
                "ranges": visible.ranges.ctypes.data,
                "selected": selected.queries.ctypes.data if first_token else 0,
                "selected_count": len(lengths),
                "selected_blocks": block_count(len(lengths)),
                "selected_visible": selected.words.ctypes.data,
                "selected_ranges": selected.ranges.ctypes.data,
            }
            record = np.array([values[name] for name in CALL_FIELDS], np.int64)
            self.kernels.call("encode", self.record.ctypes.data, record.ctypes.data)
            out[:] = buffers.result[: len(out), : self.hidden]
        finally:
            self._buffers.append(buffers)

    def _take_buffers(self, blocks: int) -> _Buffers:
        try:
            buffers = self._buffers.pop()
        except IndexError:
            buffers = None
        if buffers is None or buffers.blocks < blocks:
            buffers = _Buffers.of(dict(zip(MODEL_FIELDS, self.record.tolist(), strict=True)), blocks)
        return buffers


class _Packer:
    """Packs layers, and keeps the arrays whose addresses are in their records."""

    def __init__(self, hidden: int, context: int, ffn: int, heads: int, head_size: int) -> None:
        self.arrays: list[NDArray[np.generic]] = []
        self.padded_hidden, self._padded_ffn = padded_words(hidden) * WORD, padded_words(ffn) * WORD
        self._inputs, self._ffn = hidden, ffn
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
        """The record of a layer; `after` reads its output."""
        rows = np.arange(self._padded_ffn)
        fields: dict[str, int] = {}
        for part, linear in (("query", layer.query), ("key", layer.key), ("value", layer.value)):
            fields |= self._decided(part, linear, self._context, self._padded_context, None)
        fields |= self._decided("up", layer.up, rows[: self._ffn], self._padded_ffn, layer.activation)
        fields |= self._scaled("output", layer.output, self._context, layer.attention_norm, layer.up_shift)
        shift = None if after is None else after.attention_shift
        fields |= self._scaled("down", layer.down, rows[: self._ffn], layer.output_norm, shift)
        return [fields[name] for name in LAYER_FIELDS]

    def _decided(
        self, part: str, linear: SignLinear, positions: NDArray[np.intp], padded: int, rule: BitRule | None
    ) -> dict[str, int]:
        """A map whose results are bits; row i is computed at `positions[i]`, the bits of the other rows are 0."""
        planes = np.zeros((padded, linear.planes.shape[1]), np.uint8)
        planes[positions] = linear.planes
        thresholds = np.zeros((padded, 2), np.int32)
        thresholds[:, 1] = np.iinfo(np.int32).max
        thresholds[positions] = count_thresholds(linear.scale, linear.bias, self._inputs, rule)
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
        scales = np.zeros((self.padded_hidden, 2), np.float32)
        scales[: self._inputs] = np.stack([linear.scale, linear.bias], 1)
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


def _reversed_words(rows: NDArray[_Number]) -> NDArray[_Number]:
    """Rows in the order in which they become bits: from the highest of a word to the lowest."""
    return rows.reshape(-1, WORD, rows.shape[1])[:, ::-1].reshape(rows.shape)


def _spread_columns(planes: NDArray[np.uint8], positions: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Planes with column i at `positions[i]`, and zeros elsewhere."""
    spread = np.zeros((len(planes), int(positions[-1]) + 1), np.uint8)
    spread[:, positions] = np.unpackbits(planes, axis=1, bitorder="little")[:, : len(positions)]
    return np.packbits(spread, axis=1, bitorder="little")


@frozen(eq=False)
class _Visible:
    """Which keys each query may see: those of its own sentence."""

    queries: NDArray[np.int64]  #: numbers of tokens
    words: NDArray[np.uint32]  #: (blocks, key words, TOKENS): bits over keys; zeros for queries that a block lacks
    ranges: NDArray[np.int64]  #: (blocks, 2): the first key word that a query of the block sees, and the end

    @classmethod
    def of(cls, lengths: Sequence[int], queries: NDArray[np.int64]) -> _Visible:
        """For tokens of sentences that lie one after the other."""
        ends = np.cumsum(lengths)
        sentence = np.searchsorted(ends, queries, side="right")
        first, end = ends[sentence] - np.asarray(lengths)[sentence], ends[sentence]
        blocks, key_words = block_count(len(queries)), -(-int(ends[-1]) // WORD)
        words = np.zeros((blocks * TOKENS, key_words), np.uint32)
        words[: len(queries)] = _bits_below(end, key_words) & ~_bits_below(first, key_words)
        starts = np.arange(0, len(queries), TOKENS)
        ranges = [np.minimum.reduceat(first // WORD, starts), np.maximum.reduceat(-(-end // WORD), starts)]
        by_block = words.reshape(blocks, TOKENS, key_words).transpose(0, 2, 1)
        return cls(queries, np.ascontiguousarray(by_block), np.stack(ranges, 1).astype(np.int64))


@lru_cache(maxsize=64)  # a single sentence is often as long as one before
def _visible_keys(lengths: tuple[int, ...]) -> tuple[_Visible, _Visible]:
    """For all tokens, and for the first tokens, of sentences that lie one after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    return _Visible.of(lengths, np.arange(ends[-1])), _Visible.of(lengths, ends - lengths)


def _bits_below(limits: NDArray[np.integer], words: int) -> NDArray[np.uint32]:
    """Words whose bits, counted through all words, are set below a limit, (limits, words)."""
    used = np.clip(limits[:, None] - WORD * np.arange(words), 0, WORD).astype(np.uint64)
    bits: NDArray[np.uint64] = (np.uint64(1) << used) - np.uint64(1)
    return bits.astype(np.uint32)


@frozen(eq=False)
class _Buffers:
    """Memory that a call works in."""

    blocks: int  #: of tokens that fit
    source: FloatArray
    result: FloatArray
    addresses: dict[str, int]
    arrays: tuple[NDArray[np.generic], ...]  #: what the addresses point to

    @classmethod
    def of(cls, sizes: dict[str, int], blocks: int) -> _Buffers:
        """Buffers for a model of these sizes."""
        hidden, head_words = sizes["hidden_words"], sizes["heads"] * sizes["head_words"]
        key_words = -(-blocks * TOKENS // WORD)
        shapes = {
            "source": (blocks * TOKENS, hidden * WORD),
            "result": (blocks * TOKENS, hidden * WORD),
            "states": (blocks, hidden * WORD, TOKENS),
            "selected_states": (blocks, hidden * WORD, TOKENS),
            "bits": (blocks, hidden, TOKENS),
            "selected_bits": (blocks, hidden, TOKENS),
            "queries": (blocks, head_words, TOKENS),
            "keys": (round_up(blocks, 2), head_words, TOKENS),
            "values": (head_words * (WORD // ROWS), key_words, ROWS),
            "scratch": (key_words, TOKENS),
            "contexts": (blocks, sizes["context_words"], TOKENS),
            "intermediate": (blocks, sizes["ffn_words"], TOKENS),
        }
        # all words have 32 bits; zeros, so that spare words of contexts, which no head writes, are neutral
        arrays = {name: aligned_zeros(shape, np.float32) for name, shape in shapes.items()}
        addresses = {name: int(array.ctypes.data) for name, array in arrays.items()}
        return cls(blocks, arrays["source"], arrays["result"], addresses, tuple(arrays.values()))


def _run(calls: Sequence[Callable[[], None]], threads: int) -> None:
    if min(threads, len(calls)) < 2:
        for call in calls:
            call()
        return
    with ThreadPoolExecutor(min(threads, len(calls))) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


def _chunks(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Sentences that are computed together; one alone may have more tokens."""
    chunk: list[int] = []
    for length in map(int, lengths):
        if chunk and sum(chunk) + length > most_tokens:
            yield chunk
            chunk = []
        chunk.append(length)
    if chunk:
        yield chunk
