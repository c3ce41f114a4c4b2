"""The modules of a model, ordinary or quantized as its design says."""

from __future__ import annotations

import torch
from torch import nn

from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.embedding import PADDING, Embedding, QuantizedEmbedding
from bebertlab.model.linear import Linear, QuantizedLinear
from bebertlab.model.spec import branch_counts, check_design, quantizable_modules


class ModuleFactory:
    """Makes the modules of one model.

    Raises:
        UserError: the design does not fit the architecture.
    """

    def __init__(self, architecture: Architecture, spec: QuantSpec) -> None:
        check_design(architecture, spec)
        self.architecture, self.spec = architecture, spec
        self._sites = quantizable_modules(architecture)
        self._branches = branch_counts(architecture, spec)

    def linear(self, path: str, inputs: int, outputs: int) -> nn.Module:
        """The linear map at a module path, (..., inputs) -> (..., outputs)."""
        branches, site = self._branches[path], self._sites[path]
        if not branches:
            return Linear(inputs, outputs)
        weights, activations = self.spec.weights.get(site), self.spec.inputs.get(site)
        return QuantizedLinear(inputs, outputs, branches, weights, activations)

    def embedding(self, path: str, rows: int, width: int) -> nn.Module:
        """The word embedding at a module path, (...,) -> (..., width)."""
        branches, site = self._branches[path], self._sites[path]
        if not branches:
            return Embedding(rows, width, padding_idx=PADDING)
        return QuantizedEmbedding(rows, width, branches, self.spec.weights.get(site))

    def attention_quantizer(self, site: Site) -> Quantizer:
        """A new quantizer for an attention site of the spec, in main memory."""
        varies = site is Site.ATTENTION_PROBABILITIES
        with torch.device("cpu"):
            return self.spec.attention[site].build(torch.Size([] if varies else [self.architecture.head_size]))
