"""Passes over a split without gradients, in dataset order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bebertlab.interfaces.batch import Outputs
from bebertlab.nn.frozen import frozen_weights
from bebertlab.train.batches import Grouping, batches, evaluation_tokens, group_for_evaluation
from bebertlab.train.examples import Examples
from bebertlab.train.memory import keep_freed_memory
from bebertlab.train.networks import Network
from bebertlab.train.precision import Precision, dtype_of, in_precision


def predict(model: Network, examples: Examples, *, device: str = "cpu", precision: Precision = "fp32") -> Tensor:
    """The logits (N, C) of every example in dataset order, float32 on the CPU."""
    keep_freed_memory()
    grouping = evaluation_grouping(model, examples, device)
    with in_precision(precision, device), evaluating(model, precision):
        found = []
        for batch in batches(examples, grouping, device=device):
            outputs: Outputs = model(batch, frozenset())
            found.append(outputs.logits)
        logits = torch.cat(found).float().cpu()
    return torch.empty_like(logits).index_copy_(0, torch.from_numpy(grouping.order), logits)


def evaluation_grouping(model: Network, examples: Examples, device: str = "cpu") -> Grouping:
    """The batches of a pass over examples; those of a pass that is to give the same numbers must be the same."""
    sizes = model.architecture
    return group_for_evaluation(examples.tokens.lengths, evaluation_tokens(max(sizes.hidden, sizes.ffn), device))


@contextmanager
def evaluating(model: nn.Module, precision: Precision = "fp32") -> Iterator[None]:
    """The model as every pass without gradients needs it: in evaluation mode, its weights quantized once."""
    trained = model.training
    model.eval()
    try:
        # not inference_mode: a tensor that a model keeps from here could not be used in training afterwards
        with torch.no_grad(), frozen_weights(model, dtype_of(precision)):
            yield
    finally:
        model.train(trained)
