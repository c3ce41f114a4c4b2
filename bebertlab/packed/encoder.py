"""An encoder of signs computed in one call of generated code, in place of the modules of the inference twin."""

from __future__ import annotations

import math
from typing import Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from attrs import evolve
from numpy.typing import NDArray
from torch import Tensor, nn

from bebertlab.inference.modules import ExactAttention, ExactLayerNorm
from bebertlab.interfaces.architecture import Site
from bebertlab.interfaces.capabilities import SupportsThreshold, Threshold
from bebertlab.interfaces.quantizer import SIGNS, ZERO_ONE, Alphabet
from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.encoder import SignEncoder
from bebertlab.kernels.encoder_layers import NormParameters, SignLayer, SignLinear
from bebertlab.kernels.selection import SoftmaxSelection
from bebertlab.kernels.thresholds import BitRule
from bebertlab.model.attention import SelfAttention, TapRecorder
from bebertlab.model.bert import Encoder, FeedForwardUp, Layer, gelu_with_sign
from bebertlab.packed.modules import LinearPart, PackedLinear, PackedMatrix

FloatArray = NDArray[np.float32]

_SIGN_SITES = (Site.ATTENTION_QUERY, Site.ATTENTION_KEY, Site.ATTENTION_VALUE)
_PROBABILITIES = Site.ATTENTION_PROBABILITIES
#: the smallest steps of attention with which no product of three and a size can become 0 in float32
_LEAST_STEP = 1e-9
#: from scores of this magnitude on, the exponential of a masked key, 10,000 lower, need not be 0
_LARGEST_SCORE = 4_900
_SMALLEST = np.nextafter(np.float32(0), np.float32(1))


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
        if self.training or kept or not self.computes(real):
            return super().forward(hidden, mask, kept)
        return self.first_tokens(hidden[real], real)

    def computes(self, mask: Tensor) -> bool:
        """Whether generated code computes sentences of the real tokens of a mask (B, T)."""
        if not len(mask) or not bool(mask[:, 0].all()):
            return False
        # the order of keys shows in the last digits of a softmax
        return self._kernel.softmax is None or not bool((mask[:, 1:] & ~mask[:, :-1]).any())

    def first_tokens(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states (B, 1, H) of the first states (N, H) of the real tokens of a mask (B, T)."""
        threads, lengths = torch.get_num_threads(), mask.sum(1).tolist()
        first = self._kernel(hidden.detach().numpy(), lengths, threads=threads, row_length=mask.shape[1])
        return torch.from_numpy(first)[:, None]


def sign_encoder(encoder: Encoder, heads: int, epsilon: float) -> SignEncoder:
    """The layers of a prepared model, packed for generated code.

    Raises:
        NotSigns: a quantizer, a weight or the attention is not of signs.
    """
    layers = cast("list[Layer]", [*encoder.layer])
    if len({_selects_zero(layer) for layer in layers}) != 1:
        raise NotSigns("layers select keys in different ways")
    softmax = _write_softmax if layers[0].attention.self.softmax else None
    packed = [_sign_layer(layer) for layer in layers]
    try:
        return SignEncoder.of(packed, heads, epsilon, select_zero=_selects_zero(layers[0]), softmax=softmax)
    except ValueError as reason:
        raise NotSigns(str(reason)) from reason


def _write_softmax(scores: FloatArray, probabilities: FloatArray) -> None:
    torch.softmax(torch.from_numpy(scores), -1, out=torch.from_numpy(probabilities))


def _sign_layer(layer: Layer) -> SignLayer:
    attention, output, up = layer.attention.self, layer.attention.output, layer.intermediate
    if not isinstance(attention, ExactAttention):
        raise NotSigns("parameters are not finite")
    query, key, value = (_attention_threshold(attention, site) for site in _SIGN_SITES)
    selection = _selection(attention)
    step, factor = _score_scale(attention, query, key)
    softmax = SoftmaxSelection(step=step, factor=factor, border=_border(selection)) if attention.softmax else None
    context_scale = np.float32((selection.step * value.step).item())
    context = _rule(_linear_threshold(output.dense), len(_part(attention.query).bias))
    signs = context.shift is None and context.border == 0
    return SignLayer(
        query=_sign_linear(attention.query),
        key=_sign_linear(attention.key),
        value=_sign_linear(attention.value),
        output=_sign_linear(output.dense),
        attention_norm=_norm(output.LayerNorm),
        up=_sign_linear(up.dense),
        down=_sign_linear(layer.output.dense),
        output_norm=_norm(layer.output.LayerNorm),
        query_shift=_hidden_shift(attention.query, layer.output.LayerNorm),
        key_shift=_hidden_shift(attention.key, layer.output.LayerNorm),
        value_shift=_hidden_shift(attention.value, layer.output.LayerNorm),
        up_shift=_hidden_shift(up.dense, layer.output.LayerNorm),
        query_rule=_rule(query, attention.head_size, attention.heads),
        key_rule=_rule(key, attention.head_size, attention.heads),
        value_rule=_rule(value, attention.head_size, attention.heads),
        up_rule=_activation_rule(up, _linear_threshold(layer.output.dense)),
        context_rule=None if signs else context,
        context_scale=context_scale,
        softmax=softmax,
    )


def _selects_zero(layer: Layer) -> bool:
    """Whether a key is selected whose score, without softmax, is 0."""
    attention = layer.attention.self
    return not attention.softmax and _border(_selection(attention)) == 0


def _selection(attention: SelfAttention) -> Threshold:
    """What probabilities, or scores, are compared with."""
    name = f"attention.{_PROBABILITIES}"
    quantizers: dict[str, nn.Module] = dict(attention.quantizers.items())
    selection = _threshold(quantizers.get(_PROBABILITIES), name, ZERO_ONE)
    if selection.shift is not None:
        raise NotSigns(f"{name} has a shift")
    if attention.softmax and not _border(selection) > 0:
        raise NotSigns(f"{name} selects keys of probability 0, as those of other sentences are")
    if not attention.softmax and (_border(selection) > _SMALLEST or selection.step != 1):
        raise NotSigns(f"{name} has a border or a step, and attention has no softmax")
    return selection


def _attention_threshold(attention: ExactAttention, site: Site) -> Threshold:
    quantizers: dict[str, nn.Module] = dict(attention.quantizers.items())
    threshold = _threshold(quantizers.get(site), f"attention.{site}", SIGNS)
    if not _LEAST_STEP < threshold.step < 1 / _LEAST_STEP:
        raise NotSigns(f"attention.{site} has a step of {float(threshold.step):g}")
    return threshold


def _score_scale(attention: ExactAttention, query: Threshold, key: Threshold) -> tuple[np.float32, np.float32]:
    """What sums of products of signs are multiplied with, one after the other."""
    if not attention.softmax and query.step != 1 and key.step != 1:
        raise NotSigns("queries and keys have steps, and attention has no softmax")  # sums of float64 are not exact
    step, factor = np.float32((query.step * key.step).item()), np.float32(1 / math.sqrt(attention.head_size))
    if not attention.head_size * step * factor < _LARGEST_SCORE:
        raise NotSigns("scores are as large as those of masked keys")
    return step, factor


def _threshold(quantizer: nn.Module | None, name: str, *alphabets: Alphabet) -> Threshold:
    threshold = None
    if isinstance(quantizer, SupportsThreshold) and getattr(quantizer, "alphabet", None) in alphabets:
        threshold = quantizer.binary_threshold()
    if threshold is None:
        levels = " or ".join(f"{alphabet.low} and {alphabet.high}" for alphabet in alphabets)
        raise NotSigns(f"{name} is not quantized by a comparison to {levels}")
    tensors = (threshold.step, threshold.shift, threshold.border)
    if not all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None):
        raise NotSigns("parameters are not finite")
    return threshold


def _border(threshold: Threshold) -> np.float32:
    """The smallest sum that has the high level."""
    border = np.float32(0 if threshold.border is None else threshold.border)
    return border if threshold.inclusive else np.nextafter(border, np.float32(np.inf))


def _rule(threshold: Threshold, features: int, repeated: int = 1) -> BitRule:
    """The comparison, with a shift of each feature, which is that of every head."""
    shift = None if threshold.shift is None else threshold.shift.detach().expand(features).repeat(repeated).numpy()
    return BitRule(shift=shift, border=_border(threshold))


def _activation_rule(up: FeedForwardUp, threshold: Threshold) -> BitRule:
    """That of a result of `up`, by the function that the twin computes it with."""
    rule, activation = _rule(threshold, len(_part(up.dense).bias)), up.activation
    if activation is gelu_with_sign and rule.shift is None and rule.border == 0:
        return rule  # the sign of its argument, which is what the function is for

    def activated(values: FloatArray) -> FloatArray:
        result: FloatArray = activation(torch.from_numpy(values)).numpy()
        return result

    return evolve(rule, activation=activated, nondecreasing=activation is F.relu)


def _part(linear: nn.Module) -> LinearPart:
    if not isinstance(linear, PackedLinear):
        raise NotSigns("a linear map is not quantized")
    parts = linear.parts()
    if len(parts) != 1:
        raise NotSigns(f"a linear map has {len(parts)} branches")
    return parts[0]


def _linear_threshold(linear: nn.Module) -> Threshold:
    return _threshold(_part(linear).quantizer, "an input of a linear map", SIGNS, ZERO_ONE)


def _hidden_shift(linear: nn.Module, norm: nn.LayerNorm) -> FloatArray | None:
    """Of each feature of hidden states, whose bits are compared with 0."""
    threshold = _linear_threshold(linear)
    if _border(threshold) != 0:
        raise NotSigns("an input of a linear map has the low level for zero")
    return None if threshold.shift is None else threshold.shift.detach().expand(norm.normalized_shape).numpy()


def _sign_linear(linear: nn.Module) -> SignLinear:
    part = _part(linear)
    matrix, threshold = part.matrix, _linear_threshold(linear)
    if not isinstance(matrix, PackedMatrix) or matrix.alphabet != SIGNS or matrix.offset is not None:
        raise NotSigns("weights of a linear map are not -1 and +1 times a step")
    scale = (matrix.step * threshold.step.detach()).reshape(-1).expand(len(part.bias))
    if not bool((scale.isfinite() & part.bias.isfinite()).all()):
        raise NotSigns("parameters are not finite")
    zero_one = getattr(part.quantizer, "alphabet", None) == ZERO_ONE
    return SignLinear(matrix.planes[:, 0].numpy(), scale.numpy(), part.bias.numpy(), zero_one)


def _norm(norm: nn.LayerNorm) -> NormParameters:
    if not isinstance(norm, ExactLayerNorm):
        raise NotSigns("parameters are not finite")
    return NormParameters(norm.weight.detach().numpy(), norm.bias.detach().numpy())
