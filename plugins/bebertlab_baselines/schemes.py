"""The schemes of the baselines: which quantizer is at which site."""

from __future__ import annotations

from typing import Literal

from attrs import evolve, field, frozen, validators

from bebertlab.api import ATTENTION_SITES, LINEAR_SITES, QuantizerOptions, QuantSpec, SchemeOptions, Site
from bebertlab_baselines.bitnet import Bitnet, BitnetActivation
from bebertlab_baselines.dorefa import Dorefa, DorefaActivation
from bebertlab_baselines.irnet import Irnet, IrnetActivation
from bebertlab_baselines.pact import Pact
from bebertlab_baselines.react import React, ReactWeight
from bebertlab_baselines.xnor import Xnor

#: values there are never negative: after softmax, and after relu
_NOT_NEGATIVE = (Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN)
_SIGNED = tuple(site for site in ATTENTION_SITES if site not in _NOT_NEGATIVE)

WeightBits = Literal[1, 2, 3, 4, 8]
ActivationBits = Literal[2, 3, 4, 8]
_weight_bits = validators.in_((1, 2, 3, 4, 8))
_activation_bits = validators.in_((2, 3, 4, 8))


@frozen(kw_only=True)
class DorefaScheme(SchemeOptions):
    """DoReFa-Net: weights squashed by tanh, activations clipped at 1.

    Weights: one range for a matrix, one for each row of the word embedding. Activations: all linear inputs and all of
    the attention; from 0 where they are never negative (the attention probabilities, and the hidden activation, which
    is relu), from -1 elsewhere.
    Source: DoReFa-Net, arXiv:1606.06160.
    Differs: the paper is on convolutional networks, which have no attention and normalize after each product. Here
    levels of weights have the magnitude of the weights (`unit_range=False`), and signed activations are ours. Gradients
    are not quantized.
    """

    kind = "dorefa"
    weight_bits: WeightBits = field(default=1, validator=_weight_bits)  #: of a weight; 1 is the scaled sign
    activation_bits: ActivationBits = field(default=4, validator=_activation_bits)  #: of an activation
    as_published: bool = False  #: zeros in weights as in the published code

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return QuantSpec(
            weights=_tanh_weights(self.weight_bits, self.as_published),
            inputs={site: self._activation(site) for site in LINEAR_SITES},
            attention={site: self._activation(site) for site in ATTENTION_SITES},
            activation="relu",
        )

    def _activation(self, site: Site) -> QuantizerOptions:
        return DorefaActivation(bits=self.activation_bits, signed=site not in _NOT_NEGATIVE)


@frozen(kw_only=True)
class PactScheme(SchemeOptions):
    """PACT: activations clipped at a learned value, with the weights of DoReFa-Net.

    Weights: one range for a matrix, one for each row of the word embedding. Activations: all linear inputs and all of
    the attention; from 0 where they are never negative (the attention probabilities, whose clip begins at 1, and the
    hidden activation, which is relu), from minus the clip elsewhere.
    Source: PACT, arXiv:1805.06085.
    Differs: the paper is on convolutional networks, which have no attention and normalize after each product. Here
    levels of weights have the magnitude of the weights (`unit_range=False`), and signed activations are ours.
    """

    kind = "pact"
    weight_bits: WeightBits = field(default=4, validator=_weight_bits)  #: of a weight; 1 is the scaled sign
    activation_bits: ActivationBits = field(default=4, validator=_activation_bits)  #: of an activation
    clip: float = field(default=2.5, validator=validators.gt(0))  #: initial value of the clip of activations
    as_published: bool = False  #: zeros in weights as in the published code

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return QuantSpec(
            weights=_tanh_weights(self.weight_bits, self.as_published),
            inputs={site: self._activation(site) for site in LINEAR_SITES},
            attention={site: self._activation(site) for site in ATTENTION_SITES},
            activation="relu",
        )

    def _activation(self, site: Site) -> QuantizerOptions:
        clip = 1.0 if site is Site.ATTENTION_PROBABILITIES else self.clip
        return Pact(bits=self.activation_bits, signed=site not in _NOT_NEGATIVE, clip=clip)


@frozen(kw_only=True)
class XnorScheme(SchemeOptions):
    """XNOR-Net: signs of weights and activations, with a scale for each row and each token.

    Weights: one scale for each row. Activations: all linear inputs, and Q, K and V of every head.
    Source: XNOR-Net, arXiv:1603.05279.
    Differs: the paper is on convolutional networks, which have no attention. The attention probabilities stay in full
    precision: none is negative, so signs carry no information. The published code leaves the first layer in full
    precision; here that is the word embedding, which is binary.
    """

    kind = "xnor"
    activation_bits: Literal[1, 32] = field(default=1, validator=validators.in_((1, 32)))  #: 32: weights only (BWN)
    as_published: bool = False  #: zero is a third level, as in the published code

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        quantizer = Xnor(as_published=self.as_published)
        return _binary(quantizer, quantizer if self.activation_bits == 1 else None)


@frozen(kw_only=True)
class IrnetScheme(SchemeOptions):
    """IR-Net: signs of balanced weights and of activations, with a gradient that sharpens during training.

    Weights: one power of two as scale for each row. Activations: all linear inputs, and Q, K and V.
    Source: IR-Net, arXiv:1909.10788.
    Differs: the paper is on convolutional networks, which have no attention and normalize after each product. Here the
    scale is that of the balanced weights (`scale_of: balanced`), which keeps their magnitude; the attention
    probabilities stay in full precision: none is negative, so signs carry no information. The paper leaves the first
    layer in full precision, which here is the word embedding and is binary.
    """

    kind = "irnet"
    activation_bits: Literal[1, 32] = field(default=1, validator=validators.in_((1, 32)))  #: 32: weights only
    first: float = field(
        default=0.1, validator=validators.gt(0)
    )  #: steepness of the gradient at the start of the training
    last: float = field(default=10.0, validator=validators.gt(0))  #: the same at its end
    as_published: bool = False  #: zeros and equal weights as in the published code

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        weight = Irnet(scale_of="balanced", first=self.first, last=self.last, as_published=self.as_published)
        activation = IrnetActivation(first=self.first, last=self.last, as_published=self.as_published)
        return _binary(weight, activation if self.activation_bits == 1 else None)


@frozen(kw_only=True)
class ReactScheme(SchemeOptions):
    """ReActNet: signs of weights, and signs of activations against learned thresholds.

    Weights: one scale for each row. Activations: all linear inputs, and Q, K and V; each channel has its threshold.
    Source: ReActNet, arXiv:2003.03488.
    Differs: the paper is on convolutional networks, which have no attention. Its RPReLU is left out, since a BERT has
    no activation function after most products. The attention probabilities stay in full precision: none is negative,
    so signs carry no information. The paper leaves the first layer in full precision, which here is the word
    embedding and is binary.
    """

    kind = "react"
    activation_bits: Literal[1, 32] = field(default=1, validator=validators.in_((1, 32)))  #: 32: weights only
    as_published: bool = False  #: zero is a third level, as in the published code

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        activation = React(as_published=self.as_published) if self.activation_bits == 1 else None
        return _binary(ReactWeight(as_published=self.as_published), activation)


@frozen(kw_only=True)
class BitnetScheme(SchemeOptions):
    """BitNet b1.58: ternary weights, activations of 8 bits scaled for each token.

    Weights: one scale for a matrix, one for each row of the word embedding. Activations: the input of every linear
    layer; Q, K, V and the attention probabilities stay in full precision, as in the paper.
    Source: BitNet b1.58, arXiv:2402.17764, section 2.
    Differs: the paper trains a decoder from random weights, without biases and with a normalization before each
    quantizer; a BERT has neither. The paper's word embedding is in full precision.
    """

    kind = "bitnet"
    activation_bits: int = field(default=8, validator=[validators.ge(2), validators.le(16)])  #: of an activation

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return QuantSpec(
            weights=_by_family(matrix=Bitnet(), embedding=Bitnet(granularity="row")),
            inputs=dict.fromkeys(LINEAR_SITES, BitnetActivation(bits=self.activation_bits)),
        )


def _tanh_weights(bits: int, as_published: bool) -> dict[Site, QuantizerOptions]:
    matrix = Dorefa(bits=bits, unit_range=False, as_published=as_published)
    return _by_family(matrix=matrix, embedding=evolve(matrix, granularity="row"))


def _binary(weight: QuantizerOptions, activation: QuantizerOptions | None) -> QuantSpec:
    return QuantSpec(
        weights=_by_family(matrix=weight, embedding=weight),
        inputs={} if activation is None else dict.fromkeys(LINEAR_SITES, activation),
        attention={} if activation is None else dict.fromkeys(_SIGNED, activation),
    )


def _by_family(*, matrix: QuantizerOptions, embedding: QuantizerOptions) -> dict[Site, QuantizerOptions]:
    return {Site.WORD_EMBEDDING: embedding, **dict.fromkeys(LINEAR_SITES, matrix)}
