"""The modules of a model, ordinary or quantized as its specification says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.quantizer import Alphabet, Quantizer
from bebertlab.model.embedding import PADDING, Embedding, QuantizedEmbedding
from bebertlab.model.linear import Linear, QuantizedLinear
from bebertlab.model.quantizer_errors import build_quantizer
from bebertlab.model.spec import branch_counts, check_spec, quantizable_modules


class ModuleFactory:
    """Builds the modules of one model.

    Raises:
        UserError: the specification does not fit the architecture.
    """

    def __init__(self, architecture: Architecture, spec: QuantSpec) -> None:
        check_spec(architecture, spec)
        self.architecture, self.spec = architecture, spec
        self._sites = quantizable_modules(architecture)
        self._branches = branch_counts(architecture, spec)

    def linear(self, path: str, inputs: int, outputs: int) -> nn.Module:
        """The linear map at a module path, (..., inputs) -> (..., outputs)."""
        branches, site = self._branches[path], self._sites[path]
        if not branches:
            return Linear(inputs, outputs)
        with _at(path):
            return QuantizedLinear(inputs, outputs, branches, self.spec.weights.get(site), self.spec.inputs.get(site))

    def embedding(self, path: str, rows: int, width: int) -> nn.Module:
        """The word embedding at a module path, (...,) -> (..., width)."""
        branches, site = self._branches[path], self._sites[path]
        if not branches:
            return Embedding(rows, width, padding_idx=PADDING)
        with _at(path):
            return QuantizedEmbedding(rows, width, branches, self.spec.weights.get(site))

    def input_alphabet(self, site: Site, inputs: int) -> Alphabet | None:
        """The levels of the inputs of the linear maps at a site; None where they are not quantized."""
        options = self.spec.inputs.get(site)
        return None if options is None else build_quantizer(options, torch.Size([inputs]), f"inputs.{site}").alphabet

    def attention_quantizer(self, site: Site) -> Quantizer:
        """A new quantizer for an attention site of the spec, in main memory."""
        varies = site is Site.ATTENTION_PROBABILITIES
        shape = torch.Size([] if varies else [self.architecture.head_size])
        return build_quantizer(self.spec.attention[site], shape, f"attention.{site}")


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Put a module path before an error."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{path}: {error}") from error.__cause__ or error
