"""The models of the tests of `model`, and the task and tokenizer of those of `training`."""

from __future__ import annotations

from tests.model.conftest import batch, checkpoint, everywhere, make_batch, quantized, rounding, sizes, split
from tests.training.conftest import examples, task, tokenizer

__all__ = [
    "batch",
    "checkpoint",
    "everywhere",
    "examples",
    "make_batch",
    "quantized",
    "rounding",
    "sizes",
    "split",
    "task",
    "tokenizer",
]
