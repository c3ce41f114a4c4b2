"""Full-precision classifiers as Hugging Face writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.nn.bert import meta_model
from bebertlab.nn.config_checks import check_unquantized
from bebertlab.nn.huggingface import classifier_architecture, modern_names
from bebertlab.nn.tensors import check_shapes


def full_precision_checkpoint(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    """A classifier under today's names, in single precision.

    Raises:
        UserError: it is not of a BertForSequenceClassification, or contradicts its configuration.
    """
    named = modern_names(tensors)
    sizes = full_precision_architecture({name: tensor.shape for name, tensor in named.items()}, config)
    made = {name: tensor.to(torch.float32) for name, tensor in named.items()}
    return Checkpoint(architecture=sizes, design=Design(), tensors=made)


def full_precision_architecture(shapes: Mapping[str, torch.Size], config: Mapping[str, Any]) -> Architecture:
    """The sizes of a classifier, by the shapes of all its tensors.

    Raises:
        UserError: it is not of a BertForSequenceClassification, or contradicts its configuration.
    """
    named = modern_names(shapes)
    check_unquantized(config)
    sizes = classifier_architecture(config, named)
    check_shapes(named, meta_model(sizes, Design()).state_dict())
    return sizes
