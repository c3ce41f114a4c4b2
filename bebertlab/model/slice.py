"""Narrower models: the first heads and the first neurons of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import torch
from attrs import evolve
from torch import Tensor, nn
from torch.func import functional_call

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import WHOLE, Phase
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.parameter_names import (
    HEAD_COLUMNS,
    HEAD_ROWS,
    NEURON_COLUMNS,
    NEURON_ROWS,
    layer_path,
    renumber_layer,
)


def scaled_width(sizes: Architecture, fraction: float) -> Architecture:
    """The sizes of the slice that keeps the first round(A * fraction) heads and the same part of the neurons.

    Halves are rounded to the even neighbor, 2.5 heads to 2.
    Source: DynaBERT, arXiv:2004.04037, section 2.1; its published code rounds like this.

    Raises:
        UserError: the fraction is not in (0, 1], or keeps no head.
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"width {fraction} must be in (0, 1]")
    heads = round(sizes.heads * fraction)
    ffn = int(heads / sizes.heads * sizes.ffn)
    if heads == 0 or ffn == 0:
        raise UserError(f"width {fraction} keeps none of {sizes.heads} heads; expected at least {1 / sizes.heads:.3g}")
    return evolve(sizes, heads=heads, ffn=ffn)


def slice_width(checkpoint: Checkpoint, fraction: float) -> Checkpoint:
    """Keep the first heads and neurons of every layer, as many as `scaled_width` says.

    The head size stays; hidden states, embeddings, LayerNorms, pooler and classifier are never sliced.
    Source: DynaBERT, arXiv:2004.04037, section 2.1.

    Raises:
        UserError: the fraction is not in (0, 1] or keeps no head, or the model is quantized.
    """
    check_full_precision(checkpoint.spec)
    sizes = scaled_width(checkpoint.architecture, fraction)
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    for index in range(sizes.layers):
        _slice_layer(tensors, layer_path(index), sizes.heads * sizes.head_size, sizes.ffn)
    return Checkpoint(architecture=sizes, spec=QuantSpec(), tensors=tensors)


def check_full_precision(spec: QuantSpec) -> None:
    """Refuse a design that quantizes: a scale over a whole matrix is not that of a slice of it.

    Raises:
        UserError: the design quantizes.
    """
    if spec != QuantSpec():
        raise UserError("only a full-precision model can be sliced: slice first, then quantize")


def _slice_layer(tensors: dict[str, Tensor], layer: str, attention: int, ffn: int) -> None:
    for path, size in (*((path, attention) for path in HEAD_ROWS), (NEURON_ROWS, ffn)):
        for name in (f"{layer}.{path}.weight", f"{layer}.{path}.bias"):
            tensors[name] = tensors[name][:size].clone()
    for path, size in ((HEAD_COLUMNS, attention), (NEURON_COLUMNS, ffn)):
        name = f"{layer}.{path}.weight"
        tensors[name] = tensors[name][:, :size].clone()


def kept_layers(layers: int, fraction: float) -> tuple[int, ...]:
    """The layers of `layers` that a fraction keeps: floor(i / fraction) for i < round(layers * fraction).

    Halves are rounded to the even neighbor, 2.5 layers to 2.
    Source: DynaBERT, arXiv:2004.04037, section 2.2; its published code.

    Raises:
        UserError: the fraction is not in (0, 1], or keeps no layer.

    >>> kept_layers(12, 0.75)
    (0, 1, 2, 4, 5, 6, 8, 9, 10)
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"depth {fraction} must be in (0, 1]")
    count = round(layers * fraction)
    if count == 0:
        raise UserError(f"depth {fraction} keeps none of {layers} layers; expected at least {1 / layers:.3g}")
    return tuple(floor(index / fraction) for index in range(count))


def sliced_architecture(sizes: Architecture, width: float = 1.0, depth: float = 1.0) -> Architecture:
    """The sizes that `slice_width` and `slice_depth` leave of a model.

    Raises:
        UserError: a fraction is not in (0, 1], or keeps no head or no layer.
    """
    return evolve(scaled_width(sizes, width), layers=len(kept_layers(sizes.layers, depth)))


def slice_depth(checkpoint: Checkpoint, fraction: float) -> Checkpoint:
    """Keep the layers of `kept_layers`, one after the other, and everything outside the layers.

    Source: DynaBERT, arXiv:2004.04037, section 2.2.

    Raises:
        UserError: the fraction is not in (0, 1] or keeps no layer, or the model is quantized.
    """
    check_full_precision(checkpoint.spec)
    kept = kept_layers(checkpoint.architecture.layers, fraction)
    sizes = evolve(checkpoint.architecture, layers=len(kept))
    names = meta_model(sizes, QuantSpec()).state_dict()
    tensors = {name: checkpoint.tensors[full_name(name, kept)].clone() for name in names}
    return Checkpoint(architecture=sizes, spec=QuantSpec(), tensors=tensors)


def full_name(name: str, kept: Sequence[int]) -> str:
    """The name of a tensor of the shallower model in the one that it was sliced from.

    >>> full_name("bert.encoder.layer.1.output.dense.bias", (0, 2))
    'bert.encoder.layer.2.output.dense.bias'
    """
    return renumber_layer(name, kept.__getitem__)


_NO_TAPS: frozenset[Tap] = frozenset()


class SubNetwork(nn.Module):
    """What slicing a model by width and depth gives, on the weights of the model itself.

    Every tensor is the leading part of the whole model's; the layers are those of `kept_layers`.
    Shape: a batch of (B, T) tokens -> logits (B, C), as of the whole model.
    Gradient: reaches the parameters of the whole model, 0 where they are cut off.
    Source: DynaBERT, arXiv:2004.04037, section 2.

    Raises:
        UserError: a fraction keeps nothing, or the model is quantized.
    """

    def __init__(self, whole: BertClassifier, *, width: float, depth: float) -> None:
        super().__init__()
        check_full_precision(whole.spec)
        sizes = scaled_width(whole.architecture, width)
        self.layers = kept_layers(sizes.layers, depth)  #: of the whole model
        self._depth = sizes.layers
        self.architecture = evolve(sizes, layers=len(self.layers))
        self.meta_model = meta_model(self.architecture, QuantSpec())  # whose parameters are never read
        parameters = dict(whole.named_parameters())
        # in tuples, so that the parameters of the whole model are not registered here
        self._parts = {
            name: (parameters[full_name(name, self.layers)], own.shape)
            for name, own in self.meta_model.named_parameters()
        }

    def forward(self, batch: Batch, taps: frozenset[Tap] = _NO_TAPS) -> Outputs:
        """Logits and the taps that are asked for."""
        outputs: Outputs = functional_call(self.meta_model, self.tensors(), (batch, taps))
        return outputs

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of `meta_model` by name: slices of the parameters of the whole model."""
        return {name: _leading(parameter, shape) for name, (parameter, shape) in self._parts.items()}

    def counterpart(self, outputs: Outputs) -> Outputs:
        """What this model is compared with, of the outputs of a model that is as deep as the whole one.

        Raises:
            UserError: that model has another depth, and layers were left out here.
        """
        return kept_outputs(outputs, self.layers, self._depth)


def kept_outputs(outputs: Outputs, layers: tuple[int, ...], depth: int) -> Outputs:
    """What a model of some of `depth` layers is compared with, of the outputs of a model of all of them.

    Of the taps those of the kept layers; of the hidden states those that go into them, and the last one.
    Source: DynaBERT's published code.

    Raises:
        UserError: that model has another depth, and layers were left out.
    """
    if len(layers) == depth:
        return outputs
    return evolve(outputs, taps={tap: _kept(tap, tensors, layers, depth) for tap, tensors in outputs.taps.items()})


def _kept(tap: Tap, tensors: tuple[Tensor, ...], layers: tuple[int, ...], depth: int) -> tuple[Tensor, ...]:
    ends = 1 if tap is Tap.HIDDEN else 0
    if len(tensors) - ends != depth:
        raise UserError(
            f"a sub-network of {len(layers)} of {depth} layers needs a teacher of {depth} layers;"
            f" this one has {len(tensors) - ends}"
        )
    return (*(tensors[layer] for layer in layers), *tensors[depth:])


def _leading(parameter: nn.Parameter, shape: torch.Size) -> Tensor:
    """The first rows and columns; the parameter itself where nothing is cut off."""
    return parameter if parameter.shape == shape else parameter[tuple(slice(size) for size in shape)]


Network = BertClassifier | SubNetwork


def phase_networks(model: BertClassifier, phase: Phase, stage: str) -> tuple[Network, ...]:
    """The networks that a phase trains on the weights of a model, the largest first; `stage` is for messages.

    Raises:
        UserError: it trains sub-networks, and the model is quantized or too small for them.
    """
    try:
        check_parts(phase, model.spec)
        return tuple(
            model if part == WHOLE else SubNetwork(model, width=part[0], depth=part[1]) for part in phase.subnets
        )
    except UserError as error:
        raise UserError(f"{stage}: {error}") from error


def check_parts(phase: Phase, spec: QuantSpec) -> None:
    """Check that a phase which trains sub-networks has a full-precision model.

    Raises:
        UserError: the design quantizes.
    """
    if phase.subnets == (WHOLE,):
        return
    try:
        check_full_precision(spec)
    except UserError as error:
        raise UserError(f"phase '{phase.name}' trains sub-networks: {error}") from error


def target_of(network: nn.Module, teacher: Outputs | None) -> Outputs | None:
    """What of the teacher's outputs a network learns from."""
    return teacher if teacher is None or not isinstance(network, SubNetwork) else network.counterpart(teacher)
