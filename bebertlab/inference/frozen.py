"""Quantize weights once for many forward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bebertlab.model.embedding import EmbeddingBranch
from bebertlab.model.linear import Linear, QuantizedLinear


@contextmanager
def frozen_weights(model: nn.Module, dtype: torch.dtype | None = None) -> Iterator[None]:
    """Within, quantized weights are computed once and kept: for prediction, not for training.

    Where weights and inputs have few levels, products are of whole numbers (see `model/int8.py`), unless a
    number of the model is NaN or infinite: levels are never that. Otherwise branches whose quantized inputs are the
    same take one product with the sum of their weights.

    `dtype` is what matrix products compute in, where that is not the dtype of the weights: they are converted once.
    Row-wise word embeddings stay as they are: quantizing the rows of a batch is less work than the whole table.
    """
    linear = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    others = [module for module in model.modules() if isinstance(module, (EmbeddingBranch, Linear))]
    try:
        with torch.no_grad():
            int8_eligible = any(branch.int8_eligible for quantized in linear for branch in quantized.branches)
            integers = dtype is None and int8_eligible and _finite(model)
            for quantized in linear:
                quantized.freeze(dtype, integers=integers)
            for other in others:
                other.freeze(dtype)
        yield
    finally:
        for part in (*linear, *others):
            part.thaw()


def _finite(model: nn.Module) -> bool:
    return all(bool(parameter.sum().isfinite()) for parameter in model.parameters())
