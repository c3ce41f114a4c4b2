"""Full-precision classifiers as Hugging Face writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.embedding import PADDING
from bebertlab.model.huggingface import check_unquantized, classifier_architecture, modern_names
from bebertlab.model.parameter_names import is_bias, is_norm_scale, is_word_embedding
from bebertlab.model.tensors import check_shapes


def full_precision_checkpoint(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    """A classifier with current names, in single precision.

    Raises:
        UserError: it is not a BertForSequenceClassification, or contradicts its configuration.
    """
    named = modern_names(tensors)
    sizes = full_precision_architecture({name: tensor.shape for name, tensor in named.items()}, config)
    cast = {name: tensor.to(torch.float32) for name, tensor in named.items()}
    return Checkpoint(architecture=sizes, spec=QuantSpec(), tensors=cast)


def full_precision_architecture(shapes: Mapping[str, torch.Size], config: Mapping[str, Any]) -> Architecture:
    """The architecture of a classifier, by the shapes of all its tensors.

    Raises:
        UserError: it is not a BertForSequenceClassification, or contradicts its configuration.
    """
    named = modern_names(shapes)
    check_unquantized(config)
    sizes = classifier_architecture(config, named)
    check_shapes(named, meta_model(sizes, QuantSpec()).state_dict())
    return sizes


SPREAD = 0.02  #: standard deviation of BERT's initial weights


def random_checkpoint(architecture: Architecture, seed: int, spread: float = SPREAD) -> Checkpoint:
    """A full-precision model with random weights; torch's global generator is not used."""
    model = BertClassifier(architecture, QuantSpec())
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: random_tensor(name, tensor.shape, generator, spread) for name, tensor in model.state_dict().items()
    }
    return Checkpoint(architecture=architecture, spec=QuantSpec(), tensors=tensors)


def random_tensor(name: str, shape: torch.Size, generator: torch.Generator, spread: float = SPREAD) -> Tensor:
    """An initial tensor: biases 0, LayerNorm 1, matrices normal with standard deviation `spread`, the padding row 0."""
    if is_bias(name):
        return torch.zeros(shape)
    if is_norm_scale(name):
        return torch.ones(shape)
    tensor = torch.empty(shape).normal_(0.0, spread, generator=generator)
    if is_word_embedding(name):
        tensor[PADDING] = 0.0
    return tensor
