"""Which keys a softmax selects, decided by the counts of bits that differ in query and key.

A probability is `g(count) / sum of g over the keys` with `g(count) = exp(-2 count * step * factor)`. The generated code
computes the sum in float32, and compares it with two numbers for each count: a sum below the first certainly selects
keys of that count, a sum above the second certainly does not, whatever the last digits of the softmax are. In between,
which is rare, the softmax itself is computed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from bebertlab.kernels.emit import TOKENS
from bebertlab.kernels.emit_softmax import MASKED_SCORE

FloatArray = NDArray[np.float32]

#: writes the softmax of each row of its first argument into the second; may be called from several threads at once
Softmax = Callable[[FloatArray, FloatArray], None]

#: rows of a softmax that are decided by sums
LONGEST_ROW = 256
#: relative error of the sums of a softmax that adds in at least four lanes, (256 / 4 + 4) 2^-24, of the code's own,
#: (32 + 8) 2^-24, and of exponentials and quotients, some 2^-20
_TOLERANCE = 2.0**-17
#: scores up to here have exponentials that float32 represents in full precision
_LARGEST_SCORE = 40.0
#: counts next to each other whose exponentials differ by less, in tolerances, are too often in between
_LEAST_GAP = 64.0


@frozen(eq=False, kw_only=True)
class SoftmaxSelection:
    """Attention with a softmax of `sum * step * factor`, the exact sum of products of the signs of query and key."""

    step: np.float32  #: the step of queries times that of keys
    factor: np.float32
    border: np.float32  #: a key is selected where its probability is at least this

    @property
    def exponent(self) -> np.float32:
        """A count decreases the logarithm of a probability, to base 2, by so much."""
        return np.float32(2 * float(self.step) * float(self.factor) / np.log(2))

    def scores(self, counts: NDArray[np.integer], head_size: int) -> FloatArray:
        """Scores of counts of bits that differ, each operation rounded."""
        scores: FloatArray = (head_size - 2 * counts.astype(np.int32)).astype(np.float32) * self.step * self.factor
        return scores

    def sum_limits(self, head_size: int) -> FloatArray | None:
        """For each count the sum up to which it is selected, and above which it is not, (head size + 1, 2).

        None where sums cannot decide: scores are large, or close to each other.
        """
        counts = np.arange(head_size + 1)
        scores = self.scores(counts, head_size)
        gaps = -np.diff(scores.astype(np.float64))
        if not scores[0] <= _LARGEST_SCORE or not gaps.min() > 0:
            return None
        # the exponents of the code and the differences of scores in a softmax, all rounded, against those of the scores
        exponents = (counts.astype(np.float32) * -self.exponent).astype(np.float64) * np.log(2)
        differences = np.subtract.outer(scores, scores)
        exact = np.subtract.outer(scores.astype(np.float64), scores.astype(np.float64))
        rounding = np.abs(exponents - exact[:, 0]).max() + np.abs(differences - exact).max()
        tolerance = _TOLERANCE + 2 * rounding
        if gaps.min() < _LEAST_GAP * tolerance:
            return None
        sums = np.exp(exact[:, 0]) / float(self.border)
        with np.errstate(over="ignore"):  # a border of almost 0: all are selected
            limits: FloatArray = (sums[:, None] * (1 + tolerance * np.array([-1, 1]))).astype(np.float32)
            return limits


@frozen(eq=False, kw_only=True)
class Doubts:
    """Selections that sums did not decide: bits of queries and keys of a layer, and the queries in doubt."""

    queries: NDArray[np.uint32]  #: (heads, head words, query blocks * TOKENS)
    keys: NDArray[np.uint32]  #: (heads, head words, blocks * TOKENS)
    lanes: NDArray[np.uint32]  #: (heads, query blocks): bits over the queries of a block

    def settle(
        self,
        limits: NDArray[np.int32],
        spans: NDArray[np.int64],
        selection: SoftmaxSelection,
        softmax: Softmax,
        sizes: tuple[int, int],
    ) -> None:
        """Write minus the count from which on keys are not selected, for each query in doubt.

        Args:
            limits: (heads, query blocks * TOKENS).
            spans: of the sentences, as in `Queries`.
            selection: of the layer.
            softmax: computes probabilities.
            sizes: of a head, and of a row to which sentences are padded.
        """
        head_size, row_length = sizes
        in_doubt = (self.lanes[:, :, None] >> np.arange(TOKENS, dtype=np.uint32)) & 1
        heads, numbers = np.nonzero(in_doubt.reshape(len(self.lanes), -1))
        first, end = spans[np.searchsorted(spans[:, 3], numbers, side="right"), :2].T
        positions = first[:, None] + np.arange(row_length)
        real = positions < end[:, None]
        # (queries, row length, head words): both indices of arrays come first
        keys = self.keys[heads[:, None], :, np.where(real, positions, 0)]
        differing = keys ^ self.queries[heads, :, numbers][:, None]
        counts = np.bitwise_count(differing).sum(2, dtype=np.int32)
        rows = np.where(real, selection.scores(counts, head_size), np.float32(MASKED_SCORE))
        probabilities = np.empty_like(rows)
        softmax(rows, probabilities)
        selected = real & (probabilities >= selection.border)
        limits[heads, numbers] = -(np.where(selected, counts, -1).max(1) + 1)
