"""Word embeddings: ordinary, or as a sum of quantized branches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.interfaces.capabilities import SupportsTableRows, is_row_wise
from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.quantizer_errors import build_quantizer

PADDING = 0  #: the token whose row gets no gradient, as in every BERT


class Embedding(nn.Embedding):
    """Rows of a table, zero until tensors are loaded: building a model draws no random numbers.

    Shape: (...,) -> (..., H).
    """

    def reset_parameters(self) -> None:
        """Fill with zeros."""
        nn.init.zeros_(self.weight)


class EmbeddingBranch(nn.Module):
    """The latent table and quantizer of one summand of a quantized embedding."""

    def __init__(self, rows: int, width: int, options: QuantizerOptions | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, width))
        quantizer = None if options is None else build_quantizer(options, self.weight.shape, "weight")
        self.weight_quantizer = quantizer
        self.row_wise = quantizer is not None and is_row_wise(quantizer)
        self._reads_table = isinstance(quantizer, SupportsTableRows)
        self._learns = quantizer is not None and any(True for _ in quantizer.parameters())
        self.sparse = False  #: whether the weight gets a sparse gradient where rows are gathered from it

    def forward(self, tokens: Tensor) -> Tensor:
        """Quantized rows of the tokens, (..., H)."""
        quantizer = self.weight_quantizer
        if quantizer is None:
            return F.embedding(tokens, self.weight, PADDING, sparse=self.sparse)
        if not self.row_wise:
            return F.embedding(tokens, quantizer(self.weight), PADDING)
        rows = F.embedding(tokens, self.weight, PADDING, sparse=self.sparse)
        matrix = rows.flatten(0, -2)
        if self._reads_table:
            quantized = cast("SupportsTableRows", quantizer).forward_rows(matrix, self.weight)
        else:
            quantized = quantizer(matrix)
        if self._learns:  # the padding token contributes to no gradient, also not to that of a clip
            quantized = torch.where(tokens.reshape(-1, 1) == PADDING, quantized.detach(), quantized)
        return quantized.view(rows.shape)


class QuantizedEmbedding(nn.Module):
    """A sum of quantized rows.

    e(t) = sum over branches k of q_k(E_k)[t]; where the quantizer is row-wise, only the rows of the batch are
    quantized, q_k(E_k[t]), which gives the same values.
    Shape: (...,) -> (..., H).
    Gradient: that of the quantizers; none for the padding token.
    Source: BinaryBERT, arXiv:2012.15701, section 3.2 (two branches after ternary weight splitting).
    """

    def __init__(self, rows: int, width: int, branches: int, options: QuantizerOptions | None) -> None:
        super().__init__()
        self.branches = nn.ModuleList(EmbeddingBranch(rows, width, options) for _ in range(branches))

    def forward(self, tokens: Tensor) -> Tensor:
        """The sum over the branches."""
        first, *others = self.branches
        total: Tensor = first(tokens)
        for branch in others:
            total = total + branch(tokens)
        return total


#: elements from which on the gradient of a table is sparse
LARGE = 2**15


@contextmanager
def sparse_gradients(*models: nn.Module) -> Iterator[None]:
    """Within, the gradient of a large embedding is sparse: only the rows that the batch reaches.

    A dense one is new memory of the table's size, filled with zeros, in every step, which takes a CPU as long as a
    layer. For an optimizer that accepts sparse gradients (`training/optimizers.py`). Tables that are quantized as a
    whole have dense gradients all the same.
    """
    tables = [
        module
        for model in models
        for module in model.modules()
        if isinstance(module, Embedding | EmbeddingBranch) and module.weight.numel() >= LARGE
    ]
    try:
        for table in tables:
            table.sparse = True
        yield
    finally:
        for table in tables:
            table.sparse = False
