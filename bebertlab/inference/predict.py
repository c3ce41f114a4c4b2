"""Passes over a split without gradients, in dataset order."""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch import Tensor

from bebertlab.data.batches import BatchPlan, batches, evaluation_tokens, group_for_evaluation
from bebertlab.data.examples import Examples
from bebertlab.inference.prepare import InferenceModel, prepare
from bebertlab.model.precision import Precision
from bebertlab.model.slice import Network


def predict(
    model: Network | InferenceModel, examples: Examples, *, device: str = "cpu", precision: Precision = "fp32"
) -> Tensor:
    """The logits (N, C) of every example in dataset order, float32 on the CPU.

    A model that is prepared already computes in its own precision.
    """
    keep_freed_memory()
    prepared = model if isinstance(model, InferenceModel) else prepare(model, precision)
    plan = evaluation_plan(prepared, examples, device)
    rows = torch.cat([prepared(batch).logits.float() for batch in batches(examples, plan, device=device)]).cpu()
    return torch.empty_like(rows).index_copy_(0, torch.from_numpy(plan.order), rows)


def evaluation_plan(model: Network | InferenceModel, examples: Examples, device: str = "cpu") -> BatchPlan:
    """The batches of a pass over examples; passes over the same batches give the same values."""
    sizes = model.architecture
    return group_for_evaluation(examples.tokens.lengths, evaluation_tokens(max(sizes.hidden, sizes.ffn), device))


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_FROM_HEAP = 32 * 2**20  # the most that glibc allows
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Keep freed memory in this process for the next tensors from now on; returns whether the C library can.

    Every step allocates and frees the same tensors. Where glibc returns their memory to the system each time, every
    page of the next one is a page fault: up to a tenth of a training step, as measured. The process keeps its peak
    memory until it ends. C libraries other than glibc are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all([mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP), mallopt(_TRIM_THRESHOLD, _NEVER)])
