"""A trained model for many forward passes: an immutable twin whose weights are quantized once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from bebertlab.inference.modules import (
    CastLinear,
    ExactAttention,
    ExactLayerNorm,
    ExactLinear,
    FixedBranch,
    FixedEmbedding,
    fixed_linear,
)
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.quantizer import Quantizer
from bebertlab.model.attention import SelfAttention
from bebertlab.model.bert import BertClassifier, Encoder
from bebertlab.model.embedding import EmbeddingBranch
from bebertlab.model.linear import Linear, LinearBranch, QuantizedLinear
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
        """The same model with dropout, for a teacher with random outputs; prepared modules are shared."""
        return evolve(self, network=_copy_with_dropout(self.network))


def prepare(model: Network, precision: Precision = "fp32") -> InferenceModel:
    """The inference twin of a model, in evaluation mode; the model itself is not changed, whatever its mode.

    Weights are quantized once. In float32, a model with quantized activations computes exactly: the levels at every
    quantizer are the same on every processor, with any number of threads (`inference/modules.py`), unless a parameter
    is NaN or infinite, which integers cannot hold. For bf16 the weights of products are converted once. Row-wise word
    embeddings are not quantized in advance: the rows of a batch are less work than the table.
    What is not quantized or converted is shared with the model: prepare it again after it has trained.

    Raises:
        UserError: a quantizer failed; names it and its path.
    """
    tensors = model.tensors() if isinstance(model, SubNetwork) else None
    whole = model.meta_model if isinstance(model, SubNetwork) else model
    copying = _Copying(whole, dtype_of(precision), tensors)
    with torch.no_grad(), quantizer_errors(copying.paths.get, whole.architecture, whole.spec):
        network = copying.copy(whole)
    device = str(next(iter(tensors.values()) if tensors else whole.parameters()).device)
    return InferenceModel(network=network, architecture=whole.architecture, precision=precision, device=device)


class _Copying:
    """One pass over the modules of a model, which copies or replaces them."""

    def __init__(
        self, model: BertClassifier, dtype: torch.dtype | None, tensors: Mapping[str, Tensor] | None = None
    ) -> None:
        self._dtype, self._tensors = dtype, tensors
        self._exact = dtype is None and quantizes_activations(model.spec) and _is_finite(model)
        self.paths: dict[nn.Module, str] = {}  #: of the copies of quantizers

    def copy(self, module: nn.Module, path: str = "") -> nn.Module:
        """A module in evaluation mode with the same tensors, its children copied, or what replaces it."""
        twin = _copy_module(module)
        if isinstance(twin, Quantizer):
            self.paths[twin] = path
        if self._tensors is not None:
            twin._parameters.update({name: self._tensors[f"{path}.{name}"] for name in module._parameters})  # type: ignore[misc]
        for name, child in module._modules.items():
            if child is not None:
                twin._modules[name] = self.copy(child, f"{path}.{name}" if path else name)
        if isinstance(twin, QuantizedLinear):
            branches: list[LinearBranch] = [*twin.branches]
            return fixed_linear([FixedBranch.of(branch, exact=self._exact) for branch in branches], self._dtype)
        if isinstance(twin, Linear) and self._dtype is not None:
            return CastLinear(twin, self._dtype)
        if isinstance(twin, EmbeddingBranch) and twin.weight_quantizer is not None and not twin.row_wise:
            return FixedEmbedding(twin)
        return self._exact_twin(twin) if self._exact else twin

    @staticmethod
    def _exact_twin(twin: nn.Module) -> nn.Module:
        if isinstance(twin, Linear):
            return ExactLinear.of(twin)
        if isinstance(twin, nn.LayerNorm):
            return ExactLayerNorm.of(twin)
        return ExactAttention.of(twin) if isinstance(twin, SelfAttention) else twin


#: dicts of a module that are copied: registering something on a copy must not change the original
_COPIED_DICTS = (
    "_parameters",
    "_buffers",
    "_modules",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


def _copy_module(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares tensors and children."""
    twin: nn.Module = object.__new__(type(module))
    attributes = vars(twin)
    attributes.update(vars(module))
    for name in _COPIED_DICTS:
        attributes[name] = attributes[name].copy()
    attributes["training"] = False
    if isinstance(twin, Encoder):
        twin.compiled = None
    return twin


def _copy_with_dropout(module: nn.Module) -> nn.Module:
    """A copy of prepared modules in which dropout is active and quantizers are in evaluation mode."""
    twin = _copy_module(module)
    vars(twin)["training"] = not isinstance(twin, Quantizer)
    for name, child in module._modules.items():
        twin._modules[name] = None if child is None else _copy_with_dropout(child)
    return twin


def quantizes_activations(spec: QuantSpec) -> bool:
    """Whether a specification quantizes an activation."""
    return bool(spec.inputs or spec.attention)


def _is_finite(network: nn.Module) -> bool:
    return all(bool(parameter.sum().isfinite()) for parameter in network.parameters())
