"""Quantize weights once for many forward passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bebertlab.nn.embedding import EmbeddingBranch
from bebertlab.nn.linear import LinearBranch


@contextmanager
def frozen_weights(model: nn.Module) -> Iterator[None]:
    """Within, quantized weights are computed once and kept: for prediction, not for training.

    Row-wise word embeddings stay as they are: quantizing the rows of a batch is less work than the whole table.
    """
    branches = [module for module in model.modules() if isinstance(module, LinearBranch | EmbeddingBranch)]
    try:
        with torch.no_grad():
            for branch in branches:
                branch.freeze()
        yield
    finally:
        for branch in branches:
            branch.frozen = None
