"""Gradients of large tables by their rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from bebertlab.nn.embedding import Embedding, EmbeddingBranch

#: numbers from which on a table's gradient is kept by rows
LARGE = 2**15


@contextmanager
def sparse_gradients(*models: nn.Module) -> Iterator[None]:
    """Within, the gradient of a large embedding is a sparse tensor: the rows that the batch reaches, nothing else.

    A dense one is new memory of the table's size in every step, filled with zeros, which takes a CPU as long as a
    layer. For an optimizer that knows sparse gradients (`train/bundle.py`). Tables that are quantized as a whole
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
