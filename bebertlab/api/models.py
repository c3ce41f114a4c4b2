"""Models as values, and their transforms: schemes and splitters."""

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
from bebertlab.model.parameter_names import (
    INPUT_QUANTIZER,
    WEIGHT_QUANTIZER,
    WORD_EMBEDDINGS,
    QuantizedName,
    branch_prefix,
    is_word_embedding,
    layer_path,
    parse_quantized_name,
)
from bebertlab.model.slice import slice_depth, slice_width, sliced_architecture
from bebertlab.model.spec import branch_counts, quantizable_modules

__all__ = [
    "ATTENTION_SITES",
    "FULL_PRECISION_BITS",
    "INPUT_QUANTIZER",
    "LINEAR_SITES",
    "WEIGHT_QUANTIZER",
    "WEIGHT_SITES",
    "WORD_EMBEDDINGS",
    "Architecture",
    "BertClassifier",
    "Checkpoint",
    "Equality",
    "Measure",
    "QuantSpec",
    "QuantizedName",
    "SchemeOptions",
    "Site",
    "Splitter",
    "SplitterOptions",
    "Splitting",
    "branch_counts",
    "branch_prefix",
    "compare_models",
    "evaluation_plan",
    "is_word_embedding",
    "layer_path",
    "model_operations",
    "parse_quantized_name",
    "predict",
    "quantizable_modules",
    "save_model",
    "slice_depth",
    "slice_width",
    "sliced_architecture",
    "usual_tokens",
]
