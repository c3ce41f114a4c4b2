"""Passes over a split without gradients, in dataset order."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn

from bebertlab.data.batches import BatchPlan, batches, evaluation_tokens, group_for_evaluation
from bebertlab.data.examples import Examples
from bebertlab.inference.frozen import frozen_weights
from bebertlab.interfaces.batch import Outputs
from bebertlab.model.precision import Precision, dtype_of, in_precision
from bebertlab.model.slice import Network


def predict(model: Network, examples: Examples, *, device: str = "cpu", precision: Precision = "fp32") -> Tensor:
    """The logits (N, C) of every example in dataset order, float32 on the CPU."""
    keep_freed_memory()
    plan = evaluation_plan(model, examples, device)
    with in_precision(precision, device), evaluating(model, precision):
        found = []
        for batch in batches(examples, plan, device=device):
            outputs: Outputs = model(batch, frozenset())
            found.append(outputs.logits)
        logits = torch.cat(found).float().cpu()
    return torch.empty_like(logits).index_copy_(0, torch.from_numpy(plan.order), logits)


def evaluation_plan(model: Network, examples: Examples, device: str = "cpu") -> BatchPlan:
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


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_FROM_HEAP = 32 * 2**20  # the most that glibc allows
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Keep what is freed for the next tensor, from now on in this process; whether the C library can.

    Every step makes and frees the same tensors. Where glibc gives their memory back to the system each time, every
    page of the next one is a page fault: measured, up to a tenth of a training step. What the process takes at its
    peak it keeps until it ends. Another C library than glibc stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all([mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP), mallopt(_TRIM_THRESHOLD, _NEVER)])
