"""Models as values, and what makes one from another: schemes and splitters."""

from __future__ import annotations

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.inference.equality import Equality, compare_models
from bebertlab.inference.predict import evaluation_plan, predict
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
    FULL_PRECISION_BITS,
    LINEAR_SITES,
    WEIGHT_SITES,
    Architecture,
    Checkpoint,
    QuantSpec,
    Site,
)
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.splitter import Measure, Splitter, SplitterOptions, Splitting
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import save_model
from bebertlab.model.slice import slice_depth, slice_width, sliced_architecture
from bebertlab.model.spec import branch_counts, branch_prefix, quantizable_modules

__all__ = [
    "ATTENTION_SITES",
    "FULL_PRECISION_BITS",
    "LINEAR_SITES",
    "WEIGHT_SITES",
    "Architecture",
    "BertClassifier",
    "Checkpoint",
    "Equality",
    "Measure",
    "QuantSpec",
    "SchemeOptions",
    "Site",
    "Splitter",
    "SplitterOptions",
    "Splitting",
    "branch_counts",
    "branch_prefix",
    "compare_models",
    "evaluation_plan",
    "model_operations",
    "predict",
    "quantizable_modules",
    "save_model",
    "slice_depth",
    "slice_width",
    "sliced_architecture",
    "usual_tokens",
]
