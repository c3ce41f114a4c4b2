"""Training and evaluating a model inside a stage."""

from __future__ import annotations

from bebertlab.artifacts.model import set_up_training
from bebertlab.data.batches import batches, group_in_order
from bebertlab.data.examples import load_examples
from bebertlab.training.options import TrainOptions

__all__ = [
    "TrainOptions",
    "batches",
    "group_in_order",
    "load_examples",
    "set_up_training",
]
