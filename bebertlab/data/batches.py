"""Batches of examples of similar length, padded to the longest of the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from bebertlab.data.examples import Examples
from bebertlab.interfaces.batch import Batch

Positions = NDArray[np.int64]

#: batches whose examples are sorted by length and padded together in training: few, so that epochs stay random
POOL = 50
#: minimum of padded tokens of an evaluation batch on a CPU: measured, more do not fit into the caches for wide models
EVALUATION_TOKENS = 1024
#: activations of the widest layer in such a batch: narrow models get more tokens, since call overhead dominates there
EVALUATION_ACTIVATIONS = 2**19
#: padded tokens on a GPU, enough to use all of it
EVALUATION_TOKENS_GPU = 16384


@frozen(kw_only=True, eq=False)
class BatchPlan:
    """Which examples share a batch: batch i is `order[bounds[i] : bounds[i + 1]]`."""

    order: Positions  #: positions in the split, repeated where an example was drawn more than once
    bounds: Positions  #: (batches + 1,)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def after(self, batches: int) -> BatchPlan:
        """Without the first batches."""
        start = self.bounds[batches]
        return BatchPlan(order=self.order[start:], bounds=self.bounds[batches:] - start)

    def cheapest(self, lengths: Positions, examples: int) -> BatchPlan:
        """Those batches that have the fewest padded tokens, until there are so many examples, in their order.

        A quantizer whose levels depend on its input gives an example other values in another batch, so that a part of a
        pass is a part of its batches. `lengths` are those of all examples in tokens.
        """
        sizes = np.diff(self.bounds)
        by_tokens = np.argsort(sizes * np.maximum.reduceat(lengths[self.order], self.bounds[:-1]), kind="stable")
        count = 1 + int(np.searchsorted(np.cumsum(sizes[by_tokens]), examples))
        chosen = np.sort(by_tokens[:count])
        order = np.concatenate([self.order[self.bounds[batch] : self.bounds[batch + 1]] for batch in chosen])
        return BatchPlan(order=order, bounds=_bounds(sizes[chosen]))


def group_for_training(
    lengths: Positions, drawn: Positions, batch_size: int, generator: np.random.Generator
) -> BatchPlan:
    """Shuffle the drawn positions, sort pools of them by length, divide them into batches, shuffle the batches.

    If the batch size does not divide the number of examples, one batch is smaller; it is drawn at random, since a fixed
    one would give the longest examples of a pool the most weight.
    """
    order = generator.permutation(drawn)
    pool = np.arange(len(order)) // (POOL * batch_size)
    order = order[np.lexsort((lengths[order], pool))]  # stable: equal lengths stay shuffled
    sizes = np.full(-(-len(order) // batch_size), batch_size)
    remainder = len(order) % batch_size
    if remainder:
        last_pool = (len(sizes) - 1) // POOL * POOL
        sizes[generator.integers(last_pool, len(sizes))] = remainder
    ends = np.cumsum(sizes)
    shuffled = generator.permutation(len(sizes))
    pieces = [order[ends[i] - sizes[i] : ends[i]] for i in shuffled]
    return BatchPlan(order=np.concatenate(pieces), bounds=_bounds(sizes[shuffled]))


def evaluation_tokens(widest: int, device: str = "cpu") -> int:
    """The maximum of padded tokens of an evaluation batch, by the width of a model's widest layer.

    >>> evaluation_tokens(3072), evaluation_tokens(64)
    (1024, 8192)
    """
    return max(EVALUATION_TOKENS, EVALUATION_ACTIVATIONS // widest) if device == "cpu" else EVALUATION_TOKENS_GPU


def group_for_evaluation(lengths: Positions, budget: int) -> BatchPlan:
    """Every example once, longest first so that a lack of memory shows early; with at most `budget` tokens."""
    order = np.argsort(-lengths, kind="stable")
    sizes, start = [], 0
    while start < len(order):
        size = min(max(1, budget // int(lengths[order[start]])), len(order) - start)
        sizes.append(size)
        start += size
    return BatchPlan(order=order, bounds=_bounds(np.array(sizes, dtype=np.int64)))


def group_in_order(positions: Positions, batch_size: int) -> BatchPlan:
    """The positions in the given order, `batch_size` per batch."""
    starts = np.arange(0, len(positions), batch_size)
    return BatchPlan(order=positions, bounds=np.append(starts, len(positions)))


def batches(
    examples: Examples, plan: BatchPlan, *, weights: Tensor | None = None, device: str = "cpu"
) -> Iterator[Batch]:
    """The batches of a plan. `weights` are the loss weights (N,) of the split.

    A pool of batches is padded and moved at once, and its batches are views, which cost almost nothing.
    """
    for first in range(0, len(plan), POOL):
        yield from _pool(examples, plan.order, plan.bounds[first : first + POOL + 1], weights, device)


def _pool(
    examples: Examples, order: Positions, bounds: Positions, weights: Tensor | None, device: str
) -> Iterator[Batch]:
    order = order[bounds[0] : bounds[-1]]
    bounds = bounds - bounds[0]
    sizes = np.diff(bounds)
    widths = np.maximum.reduceat(examples.tokens.lengths[order], bounds[:-1])
    tokens, segments, mask = (torch.from_numpy(array).to(device) for array in _pad(examples, order, sizes, widths))
    chosen = torch.from_numpy(order)
    positions = chosen.to(device)
    labels = examples.labels.index_select(0, chosen).to(device)
    pool_weights = None if weights is None else weights.index_select(0, chosen).to(device)
    cells = _bounds(sizes * widths).tolist()
    edges: Sequence[int] = bounds.tolist()
    for i, (size, width) in enumerate(zip(sizes.tolist(), widths.tolist(), strict=True)):
        rows, flat = slice(edges[i], edges[i + 1]), slice(cells[i], cells[i + 1])
        yield Batch(
            positions=positions[rows],
            tokens=tokens[flat].view(size, width),
            segments=segments[flat].view(size, width),
            mask=mask[flat].view(size, width),
            labels=labels[rows],
            weights=None if pool_weights is None else pool_weights[rows],
        )


def _pad(
    examples: Examples, order: Positions, sizes: Positions, widths: Positions
) -> tuple[Positions, Positions, NDArray[np.bool_]]:
    """Tokens, segments and mask of all batches of a pool, flat, row after row."""
    tokens = examples.tokens
    width = np.repeat(widths, sizes)  # of each row
    column = np.arange(int(width.sum())) - np.repeat(np.cumsum(width) - width, width)
    mask = column < np.repeat(tokens.lengths[order], width)
    source = np.where(mask, column + np.repeat(tokens.offsets[order], width), 0)
    ids = np.where(mask, tokens.ids[source], examples.padding)
    return ids.astype(np.int64), (tokens.segments[source] * mask).astype(np.int64), mask


def _bounds(sizes: Positions) -> Positions:
    return np.concatenate(([0], np.cumsum(sizes)))
