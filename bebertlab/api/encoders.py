"""Where full-precision weights and tokenizers come from: encoders, and importers of checkpoints of other code."""

from __future__ import annotations

from bebertlab.interfaces.encoder import EncoderOptions, SavedTokenizer
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.model.huggingface import (
    architecture_of,
    classifier_architecture,
    config_number,
    modern_names,
    quantized_bits,
)
from bebertlab.model.tensors import check_tensors

__all__ = [
    "EncoderOptions",
    "ImporterOptions",
    "SavedTokenizer",
    "architecture_of",
    "check_tensors",
    "classifier_architecture",
    "config_number",
    "modern_names",
    "quantized_bits",
]
