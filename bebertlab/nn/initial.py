"""First weights, drawn from a seed."""

from __future__ import annotations

import torch
from torch import Tensor

from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.embedding import PADDING

SPREAD = 0.02  #: standard deviation of BERT's first weights


def random_checkpoint(architecture: Architecture, seed: int, spread: float = SPREAD) -> Checkpoint:
    """A full-precision model with random weights; torch's global generator is neither read nor moved."""
    model = BertClassifier(architecture, Design())
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: random_tensor(name, tensor.shape, generator, spread) for name, tensor in model.state_dict().items()
    }
    return Checkpoint(architecture=architecture, design=Design(), tensors=tensors)


def random_tensor(name: str, shape: torch.Size, generator: torch.Generator, spread: float = SPREAD) -> Tensor:
    """One first tensor: biases 0, LayerNorm 1, matrices normal with standard deviation `spread`, the padding row 0."""
    if name.endswith(".bias"):
        return torch.zeros(shape)
    if name.endswith("LayerNorm.weight"):
        return torch.ones(shape)
    tensor = torch.empty(shape).normal_(0.0, spread, generator=generator)
    if name.endswith("word_embeddings.weight"):
        tensor[PADDING] = 0.0
    return tensor
