"""Models as values, and what makes one from another: schemes and splitters."""

from __future__ import annotations

from bebertlab.accounting.operations import model_operations, usual_tokens
from bebertlab.interfaces.architecture import (
    ATTENTION_SITES,
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
from bebertlab.model.spec import branch_counts, branch_prefix, quantizable_modules

__all__ = [
    "ATTENTION_SITES",
    "LINEAR_SITES",
    "WEIGHT_SITES",
    "Architecture",
    "BertClassifier",
    "Checkpoint",
    "Measure",
    "QuantSpec",
    "SchemeOptions",
    "Site",
    "Splitter",
    "SplitterOptions",
    "Splitting",
    "branch_counts",
    "branch_prefix",
    "model_operations",
    "quantizable_modules",
    "usual_tokens",
]
