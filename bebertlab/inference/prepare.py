"""A trained model for many forward passes: an immutable twin whose weights are quantized once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from bebertlab.inference.modules import CastLinear, FixedEmbedding, int8_eligible, prepare_linear
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.bert import BertClassifier, Encoder
from bebertlab.model.embedding import EmbeddingBranch
from bebertlab.model.linear import Linear, QuantizedLinear
from bebertlab.model.precision import Precision, dtype_of, in_float, in_precision
from bebertlab.model.quantizer_errors import quantizer_errors
from bebertlab.model.slice import Network, SubNetwork

_NO_TAPS: frozenset[Tap] = frozenset()


@frozen(kw_only=True, eq=False)
class InferenceModel:
    """Computes logits and taps without gradients; called like the model that it was prepared from.

    Shape: a batch of (B, T) tokens -> logits (B, C).
    """

    network: nn.Module  #: called with a batch and taps; its modules have the paths of the model's
    architecture: Architecture
    precision: Precision = "fp32"
    device: str = "cpu"

    def __call__(self, batch: Batch, taps: frozenset[Tap] = _NO_TAPS) -> Outputs:
        """Logits and the requested taps, in float32 unless the model is of double precision."""
        with torch.no_grad(), in_precision(self.precision, self.device):
            outputs: Outputs = self.network(batch, taps)
        return outputs if self.precision == "fp32" else in_float(outputs)

    def with_dropout(self) -> InferenceModel:
        """The same model with dropout, for a teacher whose answers vary; prepared modules are shared."""
        network = _copy(self.network)
        for module in network.modules():
            module.training = not isinstance(module, Quantizer)
        return evolve(self, network=network)


def prepare(model: Network, precision: Precision = "fp32") -> InferenceModel:
    """The inference twin of a model, in evaluation mode; the model stays as it is, whatever mode it is in.

    Weights are quantized once. Where weights and inputs have few levels, products are int8 GEMMs (`inference/int8.py`),
    unless a parameter is NaN or infinite, which integers cannot hold; otherwise branches with equal quantized inputs
    share one product with the sum of their weights. For bf16 the weights of products are converted once. Row-wise word
    embeddings are not quantized in advance: the rows of a batch are less work than the table.
    What is not quantized or converted is shared with the model, so prepare anew after the model has trained.

    Raises:
        UserError: a quantizer failed; names it and its path.
    """
    network = _copy(model.meta_model, model.tensors()) if isinstance(model, SubNetwork) else _copy(model)
    if not isinstance(network, BertClassifier):
        raise TypeError(f"expected a network of BertClassifier, not {type(network).__name__}")
    with torch.no_grad(), quantizer_errors(network, network.architecture, network.spec):
        _fix_weights(network, dtype_of(precision))
    device = str(next(network.parameters()).device)
    return InferenceModel(network=network, architecture=network.architecture, precision=precision, device=device)


def _fix_weights(network: BertClassifier, dtype: torch.dtype | None) -> None:
    quantized = [module for module in network.modules() if isinstance(module, QuantizedLinear)]
    eligible = any(int8_eligible(branch) for linear in quantized for branch in linear.branches)  # type: ignore[arg-type]
    int8 = dtype is None and eligible and _is_finite(network)
    for parent in [*network.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, QuantizedLinear):
                setattr(parent, name, prepare_linear(child, dtype, int8=int8))
            elif isinstance(child, Linear) and dtype is not None:
                setattr(parent, name, CastLinear(child, dtype))
            elif isinstance(child, EmbeddingBranch) and child.weight_quantizer is not None and not child.row_wise:
                setattr(parent, name, FixedEmbedding(child))


def _copy(module: nn.Module, tensors: Mapping[str, Tensor] | None = None, prefix: str = "") -> nn.Module:
    """A tree of modules in evaluation mode with the same tensors, without gradients; `tensors` replaces parameters."""
    twin: nn.Module = object.__new__(type(module))
    for name, value in vars(module).items():
        # hooks and other dicts are copied: what is registered on the twin must not reach the model
        vars(twin)[name] = value.copy() if isinstance(value, dict) else value
    for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
        tensor = parameter if tensors is None else tensors[prefix + name]
        twin._parameters[name] = nn.Parameter(tensor.detach(), requires_grad=False)
    for name, child in module.named_children():
        twin._modules[name] = _copy(child, tensors, f"{prefix}{name}.")
    twin.training = False
    if isinstance(twin, Encoder):
        twin.compiled = None
    return twin


def _is_finite(network: nn.Module) -> bool:
    return all(bool(parameter.sum().isfinite()) for parameter in network.parameters())
