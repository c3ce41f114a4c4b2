"""A narrower and shallower model on the weights of a whole one."""

from __future__ import annotations

import torch
from attrs import evolve
from torch import Tensor, nn
from torch.func import functional_call

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Design
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.nn.bert import BertClassifier, meta_model
from bebertlab.nn.depth import full_name, kept_layers
from bebertlab.nn.width import check_full_precision, narrowed

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
        check_full_precision(whole.design)
        sizes = narrowed(whole.architecture, width)
        self.layers = kept_layers(sizes.layers, depth)  #: of the whole model
        self._depth = sizes.layers
        self.architecture = evolve(sizes, layers=len(self.layers))
        self.meta_model = meta_model(self.architecture, Design())  # its own parameters are never read
        parameters = dict(whole.named_parameters())
        # a mapping of tuples: a module would take the parameters of the whole model for its own
        self._parts = {
            name: (parameters[full_name(name, self.layers)], own.shape)
            for name, own in self.meta_model.named_parameters()
        }

    def forward(self, batch: Batch, taps: frozenset[Tap] = _NO_TAPS) -> Outputs:
        """Logits and the taps that are asked for."""
        tensors = {name: _leading(parameter, shape) for name, (parameter, shape) in self._parts.items()}
        outputs: Outputs = functional_call(self.meta_model, tensors, (batch, taps))
        return outputs

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
