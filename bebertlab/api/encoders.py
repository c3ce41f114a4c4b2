"""Sources of full-precision weights and tokenizers: encoders, and importers of checkpoints of other code."""

from __future__ import annotations

from bebertlab.artifacts.model import model_digest
from bebertlab.artifacts.pretrained import (
    pretrained_architecture,
    pretrained_checkpoint,
    pretrained_config,
    pretrained_folder,
)
from bebertlab.data.tokenizer import ModelTokenizer, check_segments, read_tokenizer
from bebertlab.interfaces.encoder import EncoderOptions, SavedTokenizer
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.model.checkpoint import full_precision_checkpoint, random_checkpoint
from bebertlab.model.huggingface import (
    architecture_of,
    classifier_architecture,
    config_number,
    modern_names,
    quantized_bits,
)
from bebertlab.model.tensors import check_tensors
from bebertlab.model.weights import read_weights, weight_shapes

__all__ = [
    "EncoderOptions",
    "ImporterOptions",
    "ModelTokenizer",
    "SavedTokenizer",
    "architecture_of",
    "check_segments",
    "check_tensors",
    "classifier_architecture",
    "config_number",
    "full_precision_checkpoint",
    "model_digest",
    "modern_names",
    "pretrained_architecture",
    "pretrained_checkpoint",
    "pretrained_config",
    "pretrained_folder",
    "quantized_bits",
    "random_checkpoint",
    "read_tokenizer",
    "read_weights",
    "weight_shapes",
]
