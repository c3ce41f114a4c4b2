"""Attention with softmax of a model of levels: generated code does what is between torch's products and its softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self, cast

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from bebertlab.inference.integers import exact_in_float32
from bebertlab.inference.modules import ExactAttention
from bebertlab.interfaces.architecture import Site
from bebertlab.interfaces.capabilities import LevelGrid, SupportsGrid
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.kernels.rows import Layout, RowKernels
from bebertlab.packed.level_values import FLOAT_BYTES, InputQuantizer, Values, shift_address


class AttentionBuffers(NamedTuple):
    """Memory of an attention."""

    query: Tensor  #: (B * A, T, D), as key, value and sums
    key: Tensor
    value: Tensor
    sums: Tensor
    scores: Tensor  #: (B * A, T, T)
    context: Tensor  #: (B, T, A * D)

    @classmethod
    def of(cls, batch: int, tokens: int, heads: int, size: int) -> Self:
        """Buffers of these sizes."""
        query, key, value, sums = (torch.empty(batch * heads, tokens, size) for _ in range(4))
        scores, context = torch.empty(batch * heads, tokens, tokens), torch.empty(batch, tokens, heads * size)
        return cls(query, key, value, sums, scores, context)


@frozen(eq=False)
class LevelAttention:
    """Computes what `ExactAttention` computes, to the same bits."""

    heads: int
    head_size: int
    query: InputQuantizer
    key: InputQuantizer
    probabilities: InputQuantizer
    value: InputQuantizer

    @classmethod
    def of(cls, module: ExactAttention) -> Self | None:
        """Of an attention with softmax; None where a site has no quantizer with a grid, or that adds a shift."""
        quantizers = dict(module.quantizers.items())
        sites = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_PROBABILITIES, Site.ATTENTION_VALUE)
        at_sites = [quantizers.get(site) for site in sites]
        if not module.softmax or not all(
            isinstance(quantizer, SupportsGrid) and quantizer.grid_shift is None for quantizer in at_sites
        ):
            return None
        return cls(
            module.heads, module.head_size, *(InputQuantizer.of(cast("Quantizer", quantizer)) for quantizer in at_sites)
        )

    def __call__(
        self,
        projections: Sequence[Values],
        mask: Tensor,
        buffers: AttentionBuffers,
        shift: Tensor | None,
    ) -> Values | None:
        """The context (B, T, A * D), with its extremes after a shift; None where values have no grid.

        Args:
            projections: of query, key and value, (B, T, A * D).
            mask: (B, 1, 1, T), is added to scores.
            buffers: for these sizes.
            shift: that the next quantizer adds.
        """
        q, k, v = (
            quantizer.grid(values.extremes(None))
            for quantizer, values in zip((self.query, self.key, self.value), projections, strict=True)
        )
        batch, tokens, _ = projections[0].tensor.shape
        if q is None or k is None or v is None or not self._multiplies_in_float32((q, k, v), tokens):
            return None
        layout = Layout(batch, tokens, self.heads, self.head_size)
        self._quantize(projections, (q, k, v), buffers, layout)
        probabilities = self._probabilities(projections[0].kernels, q, k, mask, buffers, layout)
        p = self.probabilities.grid(probabilities.extremes(None))
        return None if p is None else self._weigh(probabilities, p, v, buffers, layout, shift)

    def _multiplies_in_float32(self, grids: Sequence[LevelGrid], tokens: int) -> bool:
        query, key, probabilities, value = (
            x.quantizer.alphabet for x in (self.query, self.key, self.probabilities, self.value)
        )
        exact = exact_in_float32(query, key, self.head_size) and exact_in_float32(probabilities, value, tokens)
        return exact and all(grid.offset is None for grid in grids)

    def _quantize(
        self, projections: Sequence[Values], grids: Sequence[LevelGrid], buffers: AttentionBuffers, layout: Layout
    ) -> None:
        quantizers, levels = (self.query, self.key, self.value), (buffers.query, buffers.key, buffers.value)
        for values, grid, quantizer, out in zip(projections, grids, quantizers, levels, strict=True):
            rule = quantizer.rule(grid)
            stride, kernels = values.tensor.shape[-1] * FLOAT_BYTES, values.kernels
            kernels.quantize(values.tensor.data_ptr(), stride, kernels.no_shifts, rule, out.data_ptr(), layout)

    def _probabilities(
        self, kernels: RowKernels, q: LevelGrid, k: LevelGrid, mask: Tensor, buffers: AttentionBuffers, layout: Layout
    ) -> Values:
        """The softmax of the scores, (B, A, T, T)."""
        batch, tokens, heads, size = layout
        scores = torch.bmm(buffers.query, buffers.key.transpose(1, 2), out=buffers.scores)
        scale, root = float(np.float32(q.step) * np.float32(k.step)), 1 / math.sqrt(size)
        kernels.scale_scores(scores.data_ptr(), mask.data_ptr(), scale, root, batch, heads * tokens, tokens)
        return Values(kernels, scores.view(batch, heads, tokens, tokens).softmax(-1))

    def _weigh(
        self,
        probabilities: Values,
        p: LevelGrid,
        v: LevelGrid,
        buffers: AttentionBuffers,
        layout: Layout,
        shift: Tensor | None,
    ) -> Values:
        """The sums of the values, weighted by the probabilities."""
        batch, tokens, heads, _ = layout
        kernels, rule = probabilities.kernels, self.probabilities.rule(p)
        levels = probabilities.tensor.data_ptr()  # in place
        rows = Layout.of_rows(batch * heads * tokens, tokens)
        kernels.quantize(levels, tokens * FLOAT_BYTES, kernels.no_shifts, rule, levels, rows)
        sums = torch.bmm(probabilities.tensor.view(-1, tokens, tokens), buffers.value, out=buffers.sums)
        step = np.float32(v.step)
        extremes = kernels.finish_context(
            sums.data_ptr(),
            buffers.value.data_ptr(),
            float(np.float32(p.step) * step),
            None if p.offset is None else float(np.float32(p.offset) * step),
            buffers.context.data_ptr(),
            layout,
            shift_address(kernels, shift),
        )
        return Values(kernels, buffers.context, shift, extremes)
