"""A whole encoder whose weights, inputs and attention are signs, for sentences of any lengths."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels, load_kernels
from bebertlab.kernels.emit import ROWS, TOKENS, WORD
from bebertlab.kernels.emit_encoder import CALL_FIELDS, LAYER_FIELDS, MODEL_FIELDS, QUERY_FIELDS
from bebertlab.kernels.encoder_layers import LayerPacker, SignLayer
from bebertlab.kernels.layout import aligned_zeros, block_count, padded_words, round_up
from bebertlab.kernels.selection import LONGEST_ROW, Doubts, Softmax, SoftmaxSelection
from bebertlab.kernels.sentences import Queries, chunks, sentence_queries

FloatArray = NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)

#: sentences are computed together up to so many tokens: their weights are read once, their states stay in the cache
_CHUNK_TOKENS = 256


@frozen(eq=False, kw_only=True)
class SignEncoder:
    """Computes hidden states; may be called from several threads at once, and releases the GIL.

    Every operation in float32 is rounded on its own, and LayerNorm is computed in float64 and rounded once: results do
    not depend on the CPU or on what else is in a call. A query sums the signs of the values of the keys that it
    selects: without softmax those whose scores are positive, scores being exact sums of products of signs; with softmax
    those of at least a probability, which a function of the caller computes from scores.
    """

    kernels: Kernels
    hidden: int  #: features of a hidden state
    softmax: Softmax | None
    selections: tuple[SoftmaxSelection, ...]  #: of the layers, with softmax
    decided: bool  #: sums decide nearly all selections
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
        softmax: Softmax | None = None,
        kernels: Kernels | None = None,
    ) -> SignEncoder:
        """Pack an encoder.

        Args:
            layers: at least one, all of the same sizes, and all with a softmax or none.
            heads: of attention, among which the rows of `query` are divided.
            epsilon: of every LayerNorm.
            select_zero: whether a key whose score is 0 is selected, without softmax.
            softmax: of layers that have one.
            kernels: of the family "encoder"; those of this machine by default.

        Raises:
            ValueError: comparisons of integers cannot decide a bit, or layers have a softmax and none is given.
        """
        if any((layer.softmax is None) != (softmax is None) for layer in layers):
            raise ValueError("softmax must be given where layers have one, and only there")
        first = layers[0]
        hidden, context, ffn = len(first.output.bias), len(first.query.bias), len(first.up.bias)
        head_size = context // heads
        head_words = -(-head_size // WORD)
        packer = LayerPacker(hidden, context, ffn, heads, head_size)
        records = np.array(
            [packer.layer(layer, after) for layer, after in zip(layers, [*layers[1:], None], strict=True)]
        )
        values = {
            "layers": len(layers),
            "layer_records": records.ctypes.data,
            "shifts": packer.keep(packer.shifts(first.query_shift)),
            "hidden": hidden,
            "hidden_words": padded_words(hidden),
            "context_words": padded_words(heads * head_words * WORD),
            "ffn_words": padded_words(ffn),
            "heads": heads,
            "head_size": head_size,
            "head_words": head_words,
            "limit": head_size // 2 + 1 if select_zero else (head_size + 1) // 2,
            "epsilon": int(np.float64(epsilon).view(np.int64)),
            "softmax": int(softmax is not None),
        }
        record = np.array([values[name] for name in MODEL_FIELDS], np.int64)
        kernels = load_kernels("encoder") if kernels is None else kernels
        return cls(
            kernels=kernels,
            hidden=hidden,
            softmax=softmax,
            selections=tuple(layer.softmax for layer in layers if layer.softmax is not None),
            decided=bool(records[:, LAYER_FIELDS.index("sum_limits")].all()),
            record=record,
            arrays=(records, *packer.arrays),
        )

    def __deepcopy__(self, memo: dict[int, object]) -> SignEncoder:
        """The encoder itself: it does not change, and its record has the addresses of its arrays."""
        return self

    def __call__(
        self,
        hidden: FloatArray,
        lengths: Sequence[int],
        *,
        first_token: bool = True,
        threads: int = 1,
        row_length: int | None = None,
    ) -> FloatArray:
        """The last hidden states of sentences: of their first tokens (sentences, hidden), or of all (tokens, hidden).

        Args:
            hidden: states of the tokens of all sentences, one after the other, (tokens, hidden).
            lengths: of the sentences, in tokens, each at least 1.
            first_token: compute the last layer for the first token of each sentence only.
            threads: that share the sentences; each sentence is computed by one.
            row_length: to which the rows of a softmax are padded, whose last digits depend on it; by default the length
                of the longest sentence.
        """
        if hidden.shape != (sum(lengths), self.hidden) or min(lengths, default=0) < 1:
            raise ValueError(f"lengths must be positive and add up to the tokens of hidden, {hidden.shape}: {lengths}")
        row_length = max(lengths) if row_length is None else row_length
        if row_length < max(lengths):
            raise ValueError(f"row_length is {row_length}, but a sentence has {max(lengths)} tokens")
        out = np.empty((len(lengths) if first_token else len(hidden), self.hidden), np.float32)
        calls = []
        token = sentence = 0
        for chunk in chunks(lengths, min(_CHUNK_TOKENS, -(-len(hidden) // threads))):
            tokens = sum(chunk)
            result = out[sentence : sentence + len(chunk)] if first_token else out[token : token + tokens]
            states = hidden[token : token + tokens]
            calls.append(partial(self._encode, states, chunk, result, row_length, first_token))
            token, sentence = token + tokens, sentence + len(chunk)
        _run(calls, threads)
        return out

    def _encode(
        self, hidden: FloatArray, lengths: Sequence[int], out: FloatArray, row_length: int, first_token: bool
    ) -> None:
        tokens = len(hidden)
        decided = self.decided and row_length <= LONGEST_ROW
        buffers = self._take_buffers(tokens, 0 if self.softmax is None or decided else row_length)
        try:
            every, first = sentence_queries(tuple(lengths))
            buffers.arrays["source"][:tokens, : self.hidden] = hidden
            values = buffers.addresses | {
                "blocks": every.blocks,
                "key_words": every.visible.shape[1],
                "sentences": len(lengths),
                "row_length": row_length,
            }
            call = np.array([values[name] for name in CALL_FIELDS], np.int64)
            all_tokens = _query_record(every, buffers, "token")
            last = _query_record(first, buffers, "query") if first_token else all_tokens
            records = [record.ctypes.data for record in (self.record, call, all_tokens, last)]
            if self.softmax is None:
                self.kernels.call("encode", *records)
            else:
                run = _SoftmaxRun(self, self.softmax, buffers, row_length, decided)
                run.layers(records, every, first if first_token else every)
            out[:] = buffers.arrays["result"][: len(out), : self.hidden]
        finally:
            self._buffers.append(buffers)

    def _take_buffers(self, tokens: int, row_length: int) -> _Buffers:
        sizes = dict(zip(MODEL_FIELDS, self.record.tolist(), strict=True))
        # as many rows more as a block has tokens: some queries of the last one may be missing
        blocks, scores = block_count(tokens), (sizes["heads"] * tokens + TOKENS) * row_length
        try:
            buffers = self._buffers.pop()
        except IndexError:
            return _Buffers.of(sizes, blocks, scores)
        if buffers.blocks < blocks or buffers.scores < scores:
            return _Buffers.of(sizes, max(blocks, buffers.blocks), max(scores, buffers.scores))
        return buffers


@frozen(eq=False)
class _SoftmaxRun:
    """A call of an encoder with a softmax within each layer."""

    encoder: SignEncoder
    softmax: Softmax
    buffers: _Buffers
    row_length: int
    decided: bool

    def layers(self, records: Sequence[int], every: Queries, last: Queries) -> None:
        """As `encode` does; records are those of the model, the call, all tokens and the queries of the last layer."""
        model, call, _, selected = records
        self.encoder.kernels.call("load", model, call)
        if self.decided:
            self._limited_layers(records, every, last)
        else:
            self._scored_layers(records, every, last)
        self.encoder.kernels.call("store", model, call, selected)

    def _limited_layers(self, records: Sequence[int], every: Queries, last: Queries) -> None:
        selections = self.encoder.selections
        progress = np.array([0, 0], np.int64)  # the layer, and whether its limits are known
        while True:
            self.encoder.kernels.call("encode_limited", *records, progress.ctypes.data)
            layer = int(progress[0])
            if layer == len(selections):
                return
            self._settle(last if layer == len(selections) - 1 else every, every.blocks, selections[layer])
            progress[1] = 1

    def _scored_layers(self, records: Sequence[int], every: Queries, last: Queries) -> None:
        model, call, all_tokens, selected = records
        kernels, layers = self.encoder.kernels, len(self.encoder.selections)
        first_record = int(self.encoder.record[MODEL_FIELDS.index("layer_records")])
        for index in range(layers):
            is_last = index == layers - 1
            record, queries = (selected, last) if is_last else (all_tokens, every)
            if is_last:
                kernels.call("select", model, call, selected)
            layer = model, first_record + index * 8 * len(LAYER_FIELDS), call, record
            kernels.call("score", *layer)
            self.softmax(*self.buffers.rows(self._size("heads") * len(queries.numbers), self.row_length))
            kernels.call("update", *layer)

    def _settle(self, queries: Queries, blocks: int, selection: SoftmaxSelection) -> None:
        heads, head_words, head_size = map(self._size, ("heads", "head_words", "head_size"))
        doubts = Doubts(
            queries=self.buffers.view("queries", (heads, head_words, queries.blocks * TOKENS), np.uint32),
            keys=self.buffers.view("keys", (heads, head_words, blocks * TOKENS), np.uint32),
            lanes=self.buffers.view("doubts", (heads, queries.blocks), np.uint32),
        )
        limits = self.buffers.view("limits", (heads, queries.blocks * TOKENS), np.int32)
        doubts.settle(limits, queries.spans, selection, self.softmax, (head_size, self.row_length))

    def _size(self, name: str) -> int:
        return int(self.encoder.record[MODEL_FIELDS.index(name)])


def _query_record(queries: Queries, buffers: _Buffers, name: str) -> NDArray[np.int64]:
    values = {
        "rows": len(queries.numbers),
        "query_blocks": queries.blocks,
        "states": buffers.addresses[f"{name}_states"],
        "bits": buffers.addresses[f"{name}_bits"],
    }
    arrays = ("numbers", "visible", "ranges", "starts", "spans")
    values |= {field_: getattr(queries, field_).ctypes.data for field_ in arrays}
    return np.array([values[field_] for field_ in QUERY_FIELDS], np.int64)


@frozen(eq=False, kw_only=True)
class _Buffers:
    """Memory that a call works in."""

    blocks: int  #: of tokens that fit
    scores: int  #: numbers of rows of a softmax that fit
    margin: int  #: numbers before the first row, and after the last: a query of a sentence looks at the keys of all
    arrays: dict[str, FloatArray]
    addresses: dict[str, int]

    @classmethod
    def of(cls, sizes: dict[str, int], blocks: int, scores: int) -> _Buffers:
        """Buffers for a model of these sizes."""
        hidden, head_words = sizes["hidden_words"], sizes["heads"] * sizes["head_words"]
        key_words = -(-blocks * TOKENS // WORD)
        margin = round_up(blocks * TOKENS, WORD) + WORD
        rows = (scores + 2 * margin if scores else 0,)
        shapes: dict[str, tuple[int, ...]] = {
            "source": (blocks * TOKENS, hidden * WORD),
            "result": (blocks * TOKENS, hidden * WORD),
            "token_states": (blocks, hidden * WORD, TOKENS),
            "query_states": (blocks, hidden * WORD, TOKENS),
            "token_bits": (blocks, hidden, TOKENS),
            "query_bits": (blocks, hidden, TOKENS),
            "shifted_bits": (blocks, hidden, TOKENS),
            # a vector more, which is read where sentences do not begin with a block
            "queries": (blocks + 1, head_words, TOKENS),
            "keys": (round_up(blocks, 2) + 1, head_words, TOKENS),
            "values": (head_words * (WORD // ROWS), key_words, ROWS),
            "scratch": (key_words, TOKENS),
            "contexts": (blocks, sizes["context_words"], TOKENS),
            "intermediate": (blocks, sizes["ffn_words"], TOKENS),
            "scores": rows,
            "probabilities": rows,
            "limits": (sizes["heads"], blocks, TOKENS),
            "doubts": (sizes["heads"], blocks),
        }
        # all words have 32 bits; zeros, so that spare words of contexts, which no head writes, are neutral
        arrays = {name: aligned_zeros(shape, np.float32) for name, shape in shapes.items()}
        addresses = {name: int(array.ctypes.data) for name, array in arrays.items()}
        addresses |= {name: addresses[name] + 4 * margin for name in ("scores", "probabilities")}
        return cls(blocks=blocks, scores=scores, margin=margin, arrays=arrays, addresses=addresses)

    def view(self, name: str, shape: tuple[int, ...], dtype: type[_Number]) -> NDArray[_Number]:
        """The beginning of an array as numbers of another type."""
        return self.arrays[name].reshape(-1)[: math.prod(shape)].view(dtype).reshape(shape)

    def rows(self, count: int, length: int) -> tuple[FloatArray, FloatArray]:
        """The first rows of scores and of probabilities, (count, length)."""
        part = slice(self.margin, self.margin + count * length)
        scores, probabilities = self.arrays["scores"], self.arrays["probabilities"]
        return scores[part].reshape(count, length), probabilities[part].reshape(count, length)


def _run(calls: Sequence[Callable[[], None]], threads: int) -> None:
    if min(threads, len(calls)) < 2:
        for call in calls:
            call()
        return
    with ThreadPoolExecutor(min(threads, len(calls))) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()
