"""An encoder of signs computed in one call of generated code, in place of the modules of the inference twin."""

from __future__ import annotations

from typing import Self, cast

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray
from torch import Tensor, nn

from bebertlab.inference.modules import ExactAttention, ExactLayerNorm
from bebertlab.interfaces.architecture import Site
from bebertlab.interfaces.capabilities import SupportsThreshold, Threshold
from bebertlab.interfaces.quantizer import SIGNS, ZERO_ONE
from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.encoder import NormParameters, SignEncoder, SignLayer, SignLinear
from bebertlab.kernels.thresholds import BitRule
from bebertlab.model.attention import TapRecorder
from bebertlab.model.bert import Encoder, FeedForwardUp, Layer, gelu_with_sign
from bebertlab.packed.modules import LinearPart, PackedLinear, PackedMatrix

FloatArray = NDArray[np.float32]


class NotSigns(Exception):
    """An encoder is not one that generated code computes; says why."""


class PackedEncoder(Encoder):
    """The layers of the twin, computed by generated code to the same bits, sentences without their padding.

    The modules stay, with their packed weights, for what the code does not compute: hidden states of other tokens than
    the first, taps, dropout, and sentences whose first token is masked.
    Shape: (B, T, H) -> (B, 1, H).
    """

    _kernel: SignEncoder

    @classmethod
    def of(cls, encoder: Encoder, heads: int, epsilon: float) -> Self:
        """An encoder with the same modules, of a prepared model in main memory.

        Raises:
            NotSigns: a quantizer, a weight or the attention is not of signs.
        """
        kernel = sign_encoder(encoder, heads, epsilon)
        packed = object.__new__(cls)
        vars(packed).update(vars(encoder))
        packed._kernel = kernel
        return packed

    def with_kernels(self, kernels: Kernels) -> Self:
        """The same encoder computed by other functions, such as those for another CPU."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._kernel = evolve(self._kernel, kernels=kernels)
        return other

    def forward(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The last hidden state of the first token of each sentence."""
        real = mask[:, 0, 0] == 0
        lengths = real.sum(1)
        if self.training or kept or not len(real) or not bool(real[:, 0].all()):
            return super().forward(hidden, mask, kept)
        tokens = hidden[real].detach().numpy()
        first = self._kernel(tokens, lengths.tolist(), threads=torch.get_num_threads())
        return torch.from_numpy(first)[:, None]


def sign_encoder(encoder: Encoder, heads: int, epsilon: float) -> SignEncoder:
    """The layers of a prepared model, packed for generated code.

    Raises:
        NotSigns: a quantizer, a weight or the attention is not of signs.
    """
    layers = cast("list[Layer]", [*encoder.layer])
    selecting = {_selects_zero(layer) for layer in layers}
    if len(selecting) != 1:
        raise NotSigns("layers select keys in different ways")
    return SignEncoder.of([_sign_layer(layer) for layer in layers], heads, epsilon, select_zero=selecting.pop())


def _sign_layer(layer: Layer) -> SignLayer:
    attention, output = layer.attention.self, layer.attention.output
    inputs = [_input_threshold(linear) for linear in (attention.query, attention.key, attention.value)]
    shifts = [threshold.shift for threshold in inputs]
    if not all(_same(shift, shifts[0]) for shift in shifts):
        raise NotSigns("the inputs of query, key and value have different shifts")
    for linear in (output.dense, layer.output.dense):
        if _input_threshold(linear).shift is not None:
            raise NotSigns("a shift is added to contexts, or to results of the activation")
    return SignLayer(
        query=_sign_linear(attention.query),
        key=_sign_linear(attention.key),
        value=_sign_linear(attention.value),
        output=_sign_linear(output.dense),
        attention_norm=_norm(output.LayerNorm),
        up=_sign_linear(layer.intermediate.dense),
        down=_sign_linear(layer.output.dense),
        output_norm=_norm(layer.output.LayerNorm),
        attention_shift=_array(shifts[0], layer.output.LayerNorm),
        up_shift=_array(_input_threshold(layer.intermediate.dense).shift, layer.output.LayerNorm),
        activation=_bit_rule(layer.intermediate),
    )


def _selects_zero(layer: Layer) -> bool:
    """Whether the attention selects keys whose score is 0."""
    attention = layer.attention.self
    if attention.softmax or not isinstance(attention, ExactAttention):
        raise NotSigns("attention has a softmax" if attention.softmax else "parameters are not finite")
    for site in (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE):
        quantizers: dict[str, nn.Module] = dict(attention.quantizers.items())
        threshold = _threshold(quantizers.get(site), f"attention.{site}")
        # scores are sums of products of the values, which are exact without a step
        if not threshold.inclusive or threshold.shift is not None or float(threshold.step) != 1:
            raise NotSigns(f"attention.{site} has a step, a shift, or -1 for zero")
    site = Site.ATTENTION_PROBABILITIES
    selection = _threshold(attention.quantizers[site], f"attention.{site}", signs=False)
    if selection.shift is not None:
        raise NotSigns(f"attention.{site} has a shift")
    return selection.inclusive


def _threshold(quantizer: nn.Module | None, name: str, *, signs: bool = True) -> Threshold:
    alphabet = SIGNS if signs else ZERO_ONE
    threshold = None
    if isinstance(quantizer, SupportsThreshold) and getattr(quantizer, "alphabet", None) == alphabet:
        threshold = quantizer.binary_threshold()
    if threshold is None:
        raise NotSigns(f"{name} is not quantized by a comparison to {'-1 and +1' if signs else '0 and 1'}")
    return threshold


def _part(linear: nn.Module) -> LinearPart:
    if not isinstance(linear, PackedLinear):
        raise NotSigns("a linear map is not quantized")
    parts = linear.parts()
    if len(parts) != 1:
        raise NotSigns(f"a linear map has {len(parts)} branches")
    return parts[0]


def _input_threshold(linear: nn.Module) -> Threshold:
    threshold = _threshold(_part(linear).quantizer, "an input of a linear map")
    if not threshold.inclusive:
        raise NotSigns("an input of a linear map has -1 for zero")
    return threshold


def _sign_linear(linear: nn.Module) -> SignLinear:
    part = _part(linear)
    matrix = part.matrix
    if not isinstance(matrix, PackedMatrix) or matrix.alphabet != SIGNS or matrix.offset is not None:
        raise NotSigns("weights of a linear map are not -1 and +1 times a step")
    scale = (matrix.step * _input_threshold(linear).step.detach()).reshape(-1).expand(len(part.bias))
    if not bool((scale.isfinite() & part.bias.isfinite()).all()):
        raise NotSigns("parameters are not finite")
    return SignLinear(planes=matrix.planes[:, 0].numpy(), scale=scale.numpy(), bias=part.bias.numpy())


def _norm(norm: nn.LayerNorm) -> NormParameters:
    if not isinstance(norm, ExactLayerNorm):
        raise NotSigns("parameters are not finite")
    return NormParameters(norm.weight.detach().numpy(), norm.bias.detach().numpy())


def _bit_rule(up: FeedForwardUp) -> BitRule | None:
    """The sign of the activation of a number, by the function that the twin computes it with."""
    if up.activation is gelu_with_sign:
        return None  # the sign of its argument, which is what the function is for

    def rule(values: FloatArray) -> NDArray[np.bool_]:
        bits: NDArray[np.bool_] = (up.activation(torch.from_numpy(values)) >= 0).numpy()
        return bits

    return rule


def _array(shift: Tensor | None, norm: nn.LayerNorm) -> FloatArray | None:
    """A shift of each feature."""
    return None if shift is None else shift.detach().expand(norm.normalized_shape).numpy()


def _same(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return torch.equal(first, second)
