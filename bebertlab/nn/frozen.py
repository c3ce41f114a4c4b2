"""Quantize weights once for many forward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bebertlab.nn.embedding import EmbeddingBranch
from bebertlab.nn.linear import Linear, QuantizedLinear


@contextmanager
def frozen_weights(model: nn.Module, dtype: torch.dtype | None = None) -> Iterator[None]:
    """Within, quantized weights are computed once and kept: for prediction, not for training.

    Branches whose quantized inputs are the same take one product with the sum of their weights.

    `dtype` is what matrix products compute in, where that is not the dtype of the weights: they are converted once.
    Row-wise word embeddings stay as they are: quantizing the rows of a batch is less work than the whole table.
    """
    kinds = (QuantizedLinear, EmbeddingBranch, Linear)
    parts = [module for module in model.modules() if isinstance(module, kinds)]
    try:
        with torch.no_grad():
            for part in parts:
                part.freeze(dtype)
        yield
    finally:
        for part in parts:
            part.thaw()
