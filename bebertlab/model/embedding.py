"""Word embeddings: ordinary, or as a sum of quantized branches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.model.linear import build

PADDING = 0  #: token whose row gets no gradient, as in every BERT


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
        self.weight_quantizer = build(options, self.weight.shape)
        self._learned = self.weight_quantizer is not None and any(True for _ in self.weight_quantizer.parameters())
        #: quantized table kept while weights do not change, see `inference/frozen.py`
        self.frozen: Tensor | None = None
        self.sparse = False  #: whether the weight gets a sparse gradient where rows are gathered from it

    def forward(self, tokens: Tensor) -> Tensor:
        """Quantized rows of the tokens, (..., H)."""
        if self.frozen is not None:
            return F.embedding(tokens, self.frozen, PADDING)
        quantizer = self.weight_quantizer
        if quantizer is None:
            return F.embedding(tokens, self.weight, PADDING, sparse=self.sparse)
        if not quantizer.row_wise:
            return F.embedding(tokens, quantizer(self.weight), PADDING)
        rows = F.embedding(tokens, self.weight, PADDING, sparse=self.sparse)
        quantized = quantizer.forward_rows(rows.flatten(0, -2), self.weight)  # a matrix, as it was built for
        if self._learned:  # the padding token has no gradient, nor has a clip by it
            quantized = torch.where(tokens.reshape(-1, 1) == PADDING, quantized.detach(), quantized)
        return quantized.view(rows.shape)

    def freeze(self, _: torch.dtype | None = None) -> None:
        """Keep the quantized table until `thaw`, where all of it would be quantized for a batch."""
        if self.weight_quantizer is not None and not self.weight_quantizer.row_wise:
            self.frozen = self.weight_quantizer(self.weight).detach()

    def thaw(self) -> None:
        """Quantize in every pass again."""
        self.frozen = None


class QuantizedEmbedding(nn.Module):
    """A sum of quantized rows.

    e(t) = sum over branches k of q_k(E_k)[t]; where the quantizer is row-wise only the rows of the batch are
    quantized, q_k(E_k[t]): the same numbers, for a fraction of the work.
    Shape: (...,) -> (..., H).
    Gradient: what the quantizers make of it; none for the padding token.
    Source: BinaryBERT, arXiv:2012.15701, section 3.2 (two branches after ternary weight splitting).
    """

    def __init__(self, rows: int, width: int, branches: int, options: QuantizerOptions | None) -> None:
        super().__init__()
        self.branches = nn.ModuleList(EmbeddingBranch(rows, width, options) for _ in range(branches))

    def forward(self, tokens: Tensor) -> Tensor:
        """The sum over the branches."""
        first, *rest = self.branches
        total: Tensor = first(tokens)
        for branch in rest:
            total = total + branch(tokens)
        return total


#: numbers from which on a table's gradient is kept by rows
LARGE = 2**15


@contextmanager
def sparse_gradients(*models: nn.Module) -> Iterator[None]:
    """Within, the gradient of a large embedding is a sparse tensor: the rows that the batch reaches, nothing else.

    A dense one is new memory of the table's size in every step, filled with zeros, which takes a CPU as long as a
    layer. For an optimizer that knows sparse gradients (`training/optimizers.py`). Tables that are quantized as a whole
    have dense gradients all the same.
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
