"""The scheme of BiT: which quantizer is at which site."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Attribute, field, frozen, validators

from bebertlab.api import (
    ATTENTION_SITES,
    GRANULARITIES,
    LINEAR_SITES,
    Granularity,
    QuantizerOptions,
    QuantSpec,
    SchemeOptions,
    Site,
)
from bebertlab_bit.quantizers import CentredSign, Elastic

#: values there are never negative: after softmax, and after relu
_ONE_SIDED = (Site.ATTENTION_PROBABILITIES, Site.FFN_DOWN)


@frozen(kw_only=True)
class Bit(SchemeOptions):
    """BiT: binary weights around their mean, elastic activations of one bit or a few, relu as hidden activation.

    Weights: one mean for a tensor; one scale for a matrix, one for each row of the word embedding. Activations: -1 and
    +1, and 0 and 1 for the attention probabilities and the input of the second feed-forward layer; a learned scale at
    every site, and a learned shift of every channel at the inputs of linear layers.
    Source: BiT, arXiv:2205.13016, and its published code.
    Differs: 32 bits are full precision, of weights or of activations. The paper shifts every binary activation; the
    published code does not shift those inside attention (it computes their shifts and drops them), and neither do we.
    """

    kind = "bit"
    weight_bits: Literal[1, 32] = field(default=1, validator=validators.in_((1, 32)))  #: 1 binary, 32 none
    activation_bits: int = field(default=1, validator=validators.in_((*range(1, 17), 32)))  #: 1 to 16 elastic, 32 none
    activations: Literal["elastic", "bwn"] = field(
        default="elastic"
    )  #: bwn: the sign of the distance from the mean of the tensor, one bit, its scale not learned
    quantize_probabilities: bool = True  #: false leaves the attention probabilities in full precision
    matrix_granularity: Granularity = field(
        default="tensor", validator=validators.in_(GRANULARITIES)
    )  #: what shares a scale in the weight of a linear layer: the whole matrix, or each row (output)
    embedding_granularity: Granularity = field(
        default="row", validator=validators.in_(GRANULARITIES)
    )  #: the same for the word embedding, where a row is a word
    signed: bool = True  #: elastic: levels on both sides of zero in Q, K, V and at inputs of linear layers but FFN down
    one_sided_signed: bool = False  #: the same for attention probabilities and the input of FFN down
    keep_scale: bool = True  #: elastic: starts from the scales of the previous step; false: the first batch sets them
    as_published: bool = False  #: zeros become a third level at every binary site, as in the published code

    @activations.validator
    def _check_activations(self, attribute: Attribute[str], value: str) -> None:
        if value not in ("elastic", "bwn"):
            raise ValueError(f"'activations' must be 'elastic' or 'bwn', got '{value}'")
        if value == "bwn" and self.activation_bits not in (1, 32):
            raise ValueError(f"'activations: bwn' has 1 bit, but 'activation_bits' is {self.activation_bits}")

    def spec(self) -> QuantSpec:
        """The same quantizers in every layer."""
        return QuantSpec(
            weights=self._weights(),
            inputs={} if self.activation_bits == 32 else {site: self._input(site) for site in LINEAR_SITES},
            attention={} if self.activation_bits == 32 else self._attention(),
            activation="relu",
        )

    def _weights(self) -> dict[Site, QuantizerOptions]:
        if self.weight_bits == 32:
            return {}
        table, matrix = (
            CentredSign(granularity=granularity, as_published=self.as_published)
            for granularity in (self.embedding_granularity, self.matrix_granularity)
        )
        return {Site.WORD_EMBEDDING: table, **dict.fromkeys(LINEAR_SITES, matrix)}

    def _attention(self) -> dict[Site, QuantizerOptions]:
        left_out = () if self.quantize_probabilities else (Site.ATTENTION_PROBABILITIES,)
        return {site: self._activation(site) for site in ATTENTION_SITES if site not in left_out}

    def _input(self, site: Site) -> QuantizerOptions:
        return self._activation(site, shift=True)

    def _activation(self, site: Site, **options: Any) -> QuantizerOptions:  # noqa: ANN401 - passed on to the options
        if self.activations == "bwn":
            return CentredSign(as_published=self.as_published, **options)
        return Elastic(
            bits=self.activation_bits,
            signed=self.one_sided_signed if site in _ONE_SIDED else self.signed,
            keep_scale=self.keep_scale,
            as_published=self.as_published,
            **options,
        )
